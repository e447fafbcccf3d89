package term

import (
	"github.com/gdamore/tcell/v2"

	"sipscope/render/tui/keymap"
)

// KeyOf gives the key of an event in the words of the key map, "" for one that has no name there.
func KeyOf(ev *tcell.EventKey) keymap.Key {
	switch k := ev.Key(); {
	case k == tcell.KeyRune:
		if ev.Rune() == ' ' {
			return "Space"
		}
		if ev.Modifiers()&tcell.ModAlt != 0 {
			return ""
		}
		return keymap.Key(string(ev.Rune()))
	case k >= tcell.KeyF1 && k <= tcell.KeyF12:
		return keymap.Key(tcell.KeyNames[k])
	default:
		return special(k)
	}
}

// special names the keys without a rune. Ctrl-I, Ctrl-M and Ctrl-H are what terminals send for Tab, Enter and Backspace.
func special(k tcell.Key) keymap.Key {
	switch k {
	case tcell.KeyUp, tcell.KeyDown, tcell.KeyLeft, tcell.KeyRight, tcell.KeyPgUp, tcell.KeyPgDn, tcell.KeyHome,
		tcell.KeyEnd, tcell.KeyEnter, tcell.KeyEsc, tcell.KeyTab, tcell.KeyBacktab, tcell.KeyInsert, tcell.KeyDelete:
		return keymap.Key(tcell.KeyNames[k])
	case tcell.KeyBackspace, tcell.KeyBackspace2:
		return "Backspace"
	default:
		if k >= tcell.KeyCtrlA && k <= tcell.KeyCtrlZ {
			return keymap.Key("Ctrl-" + string(rune('A'+k-tcell.KeyCtrlA)))
		}
		return ""
	}
}

// Lower folds ASCII letters byte by byte, so that a place in the result is the same place in s: for searches that mark
// what they find.
func Lower(s string) string {
	for i := range len(s) {
		if c := s[i]; c < 'A' || c > 'Z' {
			continue
		}
		b := []byte(s)
		for j := i; j < len(b); j++ {
			if b[j] >= 'A' && b[j] <= 'Z' {
				b[j] |= 0x20
			}
		}
		return string(b)
	}
	return s
}
