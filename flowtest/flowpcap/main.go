// Command flowpcap writes flows (see flowtest) as captures, and the table of a folder's README.md that says what each
// shows.
//
//	flowpcap -o DIR FLOW...          writes DIR/NAME.pcap (or .pcapng) for each, and its row in DIR/README.md
//	flowpcap -check -o DIR FLOW...   writes nothing; tells which files differ from what the flows make
//
// It ends with 0, with 1 when -check finds a difference or a flow has a mistake, and with 2 after wrong usage.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"sipscope/flowtest"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

func run(args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("flowpcap", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dir := flags.String("o", "", "folder of the captures")
	check := flags.Bool("check", false, "compare, do not write")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: flowpcap [-check] -o DIR FLOW...")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if *dir == "" || flags.NArg() == 0 {
		flags.Usage()
		return 2
	}
	out := output{dir: *dir, check: *check}
	if err := out.all(flags.Args()); err != nil {
		fmt.Fprintln(stderr, "flowpcap:", err)
		return 1
	}
	return 0
}

// output writes into a folder, or compares with it.
type output struct {
	dir   string
	check bool
}

// errDiffers says that a file is not what the flows make.
var errDiffers = errors.New("is not what the flows make: run flowpcap without -check")

func (o output) all(names []string) error {
	rows := map[string]string{}
	for _, name := range names {
		f, data, err := load(name)
		if err != nil {
			return err
		}
		packets, err := f.Packets()
		if err != nil {
			return err
		}
		if _, again := rows[f.FileName()]; again {
			return fmt.Errorf("%s: a second flow writes %s", name, f.FileName())
		}
		rows[f.FileName()] = flowtest.IndexRow(f, len(packets), len(data))
		if err := o.file(f.FileName(), data); err != nil {
			return err
		}
	}
	readme, err := os.ReadFile(filepath.Join(o.dir, "README.md"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return o.file("README.md", flowtest.Index(readme, rows))
}

// load reads a flow and makes its capture.
func load(name string) (*flowtest.Flow, []byte, error) {
	in, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = in.Close() }()
	f, err := flowtest.Parse(name, in)
	if err != nil {
		return nil, nil, err
	}
	var b bytes.Buffer
	err = f.Write(&b)
	return f, b.Bytes(), err
}

// file writes a file that changed, or compares it.
func (o output) file(name string, data []byte) error {
	name = filepath.Join(o.dir, name)
	old, err := os.ReadFile(name)
	if err == nil && bytes.Equal(old, data) {
		return nil
	}
	if o.check {
		return fmt.Errorf("%s %w", name, errDiffers)
	}
	if err := os.MkdirAll(o.dir, 0o750); err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644) //nolint:gosec // test data for everybody
}
