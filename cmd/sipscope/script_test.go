package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the scripts run this program as the command sipscope.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sipscope": func() { os.Exit(program()) },
	})
}

// Every script in testdata is a user's session; $PCAPS is the folder of the project's captures.
func TestScripts(t *testing.T) {
	t.Parallel()
	pcaps, err := filepath.Abs("../../testdata/pcaps")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PCAPS", pcaps)
			e.Setenv("TMPDIR", e.WorkDir)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"cut":       cmdCut,
			"exitcode":  cmdExitCode,
			"safe":      cmdSafe,
			"up":        cmdUp,
			"validjson": cmdValidJSON,
		},
	})
}

// cmdCut writes the first n bytes of a file to another one: cut IN N OUT.
func cmdCut(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: cut IN N OUT")
	}
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	n := 0
	for _, c := range args[1] {
		n = n*10 + int(c-'0')
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), data[:min(n, len(data))], 0o600))
}

// cmdUp waits until an element answers OPTIONS, whatever it says: up ADDRESS.
func cmdUp(ts *testscript.TestScript, _ bool, args []string) {
	for range 50 {
		if ts.Exec("sipscope", "ua", "options", "sip:"+args[0], "--format", "none", "--t1", "20ms", "-q") == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	ts.Fatalf("nobody answers at %s", args[0])
}

// cmdExitCode runs sipscope and compares its exit code: exitcode N ARGS...
func cmdExitCode(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exitcode N ARGS...")
	}
	err := ts.Exec("sipscope", args[1:]...)
	got := "0"
	if err != nil {
		got = "?"
		var exit interface{ ExitCode() int }
		if asExit(err, &exit) {
			got = string(rune('0' + exit.ExitCode()))
		}
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

func asExit(err error, target *interface{ ExitCode() int }) bool {
	e, ok := err.(interface{ ExitCode() int })
	if ok {
		*target = e
	}
	return ok
}

// cmdSafe checks that a file holds nothing that a terminal would obey.
func cmdSafe(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := []byte(ts.ReadFile(name))
		for i, c := range text {
			if c < ' ' && c != '\n' || c == 0x7f {
				ts.Fatalf("%s: control character %#x at %d: %q", name, c, i, text[max(0, i-20):i+1])
			}
		}
		if bytes.Contains(text, []byte("\xc2\x9b")) {
			ts.Fatalf("%s: C1 control sequence introducer", name)
		}
	}
}

// cmdValidJSON checks that files hold JSON values one after the other, in valid UTF-8.
func cmdValidJSON(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := ts.ReadFile(name)
		if !utf8.ValidString(text) {
			ts.Fatalf("%s is no UTF-8", name)
		}
		dec := json.NewDecoder(strings.NewReader(text))
		n := 0
		for {
			var v any
			if err := dec.Decode(&v); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				ts.Fatalf("%s: value %d: %v", name, n+1, err)
			}
			n++
		}
		if n == 0 {
			ts.Fatalf("%s is empty", name)
		}
	}
}
