//go:build !unix

package tui

// suspend says that there is nothing to go back to.
func (a *app) suspend() { a.Say("this system has no job control") }
