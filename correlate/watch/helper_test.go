package watch

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// helperName is the variable that makes this test binary the command of a test: what it does, and in helperArg where.
const (
	helperName = "WATCH_TEST_HELPER"
	helperArg  = "WATCH_TEST_ARG"
)

func TestMain(m *testing.M) {
	if what := os.Getenv(helperName); what != "" {
		os.Exit(help(what, os.Getenv(helperArg)))
	}
	goleak.VerifyTestMain(m)
}

// help is the command's body.
func help(what, arg string) (code int) {
	switch what {
	case "tell": // all that it was given, for the test to read
		in, _ := io.ReadAll(os.Stdin)
		fmt.Printf("args %q\nstdin %q\n", os.Args[1:], in)
		for _, v := range os.Environ() {
			if strings.HasPrefix(v, prefix) || strings.HasPrefix(v, "OTHER") {
				fmt.Printf("env %q\n", v)
			}
		}
	case "nothing": // does not even read
	case "fail":
		fmt.Fprintln(os.Stderr, "no way")
		return 3
	case "megabytes":
		line := bytes.Repeat([]byte("x"), 99)
		line = append(line, '\n')
		for range 30_000 {
			os.Stdout.Write(line)
		}
	case "endless":
		for {
			os.Stdout.WriteString("zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz")
		}
	case "alone": // fails when another one runs
		lock, err := os.OpenFile(arg, os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return 7
		}
		lock.Close()
		time.Sleep(20 * time.Millisecond)
		os.Remove(arg)
	case "sleep":
		time.Sleep(time.Minute)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ready")
		time.Sleep(time.Minute)
	case "polite": // ends well when it is asked to
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM)
		fmt.Println("ready")
		<-asked
		fmt.Println("bye")
	case "parent", "leaver": // starts a stubborn child that holds its output, and waits for it, or does not
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), helperName+"=stubborn")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			return 4
		}
		if err := os.WriteFile(arg, fmt.Append(nil, child.Process.Pid), 0o600); err != nil {
			return 5
		}
		if what == "parent" {
			child.Wait()
		}
	default:
		return 6
	}
	return 0
}

// helper gives options that run this binary as the command.
func helper(what, arg string, out io.Writer) RunOptions {
	return RunOptions{
		Path: os.Args[0], Every: -1, Stderr: out,
		Env: func() []string { return append(inherited(), helperName+"="+what, helperArg+"="+arg) },
	}
}

// buffer is a bytes.Buffer that a test may read while a command writes.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
