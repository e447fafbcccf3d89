package main

import (
	"context"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sipscope/render/pair"
	"sipscope/render/tui"
	"sipscope/render/tui/keymap"
)

// What --tui of diff and replay needs is these two functions:
//
//	err := checkPair(cmd, c.io, "format", "output") // at once: a terminal, and none of the flags that exclude --tui
//	...
//	err = openPair(ctx, report)                     // when the results are there; report is what render/pair draws
//
// What the exit code says is the command's business, after openPair has returned.

// checkPair refuses --tui where there is no terminal, or beside flags that it does not go together with.
func checkPair(cmd *cobra.Command, std stdio, alone ...string) error {
	for _, name := range alone {
		if cmd.Flags().Changed(name) {
			return usagef("leave one of them out", "--%s and --tui do not go together", name)
		}
	}
	if !term.IsTerminal(int(std.out.Fd())) {
		return usagef("without --tui the comparison is printed", "--tui needs a terminal")
	}
	return nil
}

// openPair shows comparisons in the terminal UI until the user has seen enough. Of several, the first one that differs is
// shown, and "[" and "]" lead to the others. Pair.Open and Flow.Text are called while the user looks, on any goroutine:
// what they read must stay open until openPair returns.
func openPair(ctx context.Context, report *pair.Report) error {
	cfg, err := loadConfig(os.Getenv)
	if err != nil {
		return err
	}
	keys, err := keymap.New(cfg.Keys)
	if err != nil {
		return usagef("see: sipscope config --dump", "%w", err)
	}
	ctx, stop := signal.NotifyContext(ctx, hangups()...)
	defer stop()
	return tui.Run(ctx, tui.Options{
		Pairs: report, Settings: cfg.settings(), Theme: cfg.Theme, Colors: cfg.Colors, Keys: keys, Env: os.Getenv,
	})
}
