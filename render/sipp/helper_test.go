package sipp

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/correlate/cut"
	"sipscope/decode"
)

// archive is a capture that was read.
type archive struct {
	files *capture.Files
	texts decode.TextReader
	calls []correlate.Call
}

// project is the path of one of the project's captures.
func project(name string) string { return filepath.Join("..", "..", "testdata", "pcaps", name) }

func read(tb testing.TB, paths ...string) *archive {
	tb.Helper()
	files, err := capture.Open(paths, capture.Options{Spool: true, SpoolDir: tb.TempDir()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { files.Close() })
	board, vault := &correlate.Board{}, decode.NewVault(decode.VaultOptions{Dir: tb.TempDir()})
	tb.Cleanup(func() { vault.Close() })
	err = correlate.Run(context.Background(), files, correlate.Config{Workers: 1, Board: board, Vault: vault})
	if err != nil && !errors.Is(err, capture.ErrDamaged) {
		tb.Fatal(err)
	}
	a := &archive{files: files, texts: vault.Reader(files)}
	for s := range board.Calls() {
		if c, ok := board.Call(s.Num); ok {
			a.calls = append(a.calls, c)
		}
	}
	return a
}

func (a *archive) text(call int) func(message int) []byte {
	return func(message int) []byte {
		b, err := decode.ReadText(a.texts, a.calls[call].Messages[message].Pieces)
		if err != nil {
			return nil
		}
		return b
	}
}

// media cuts the RTP of a call.
func (a *archive) media(tb testing.TB, call int) []cut.Stream {
	tb.Helper()
	again, err := a.files.Reopen()
	if err != nil {
		tb.Fatal(err)
	}
	defer again.Close()
	text := a.text(call)
	recorded, err := cut.Cut(tb.Context(), again, a.calls[call:call+1], func(_, m int) []byte { return text(m) }, cut.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return recorded.Streams
}
