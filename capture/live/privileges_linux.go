package live

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// DropPrivileges makes the process run as a user (a name or a number), with that user's groups and without any
// capability, in all its threads, and for good: it makes sure that root does not come back. Call it as root once the
// sources are open: an interface that comes back is still captured then. On an error the process must end, for it may
// be half way.
func DropPrivileges(name string) error {
	if err := become(name); err != nil {
		return fmt.Errorf("becoming user %s: %w", name, err)
	}
	return nil
}

func become(name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		byID, idErr := user.LookupId(name)
		if idErr != nil {
			return err
		}
		u = byID
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	if uid == 0 {
		return errors.New("that is root itself")
	}
	groups, err := groupsOf(u, gid)
	if err != nil {
		return err
	}
	// The groups first, for without root they can no longer be changed. Each of these acts on all threads. Leaving root
	// with all three user numbers also clears the permitted, effective and ambient capabilities (capabilities(7)).
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	if err := syscall.Setresgid(gid, gid, gid); err != nil {
		return fmt.Errorf("setgid: %w", err)
	}
	if err := syscall.Setresuid(uid, uid, uid); err != nil {
		return fmt.Errorf("setuid: %w", err)
	}
	return dropped(uid, gid)
}

// groupsOf are a user's groups, the own one among them.
func groupsOf(u *user.User, gid int) ([]int, error) {
	ids, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	groups := []int{gid}
	for _, id := range ids {
		g, err := strconv.Atoi(id)
		if err != nil {
			return nil, err
		}
		if g != gid {
			groups = append(groups, g)
		}
	}
	return groups, nil
}

// dropped makes sure of it, thread by thread.
func dropped(uid, gid int) error {
	if syscall.Setuid(0) == nil || syscall.Setgid(0) == nil {
		return errors.New("root can be had back")
	}
	threads, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		return err
	}
	for _, file := range threads {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // the thread has ended
		}
		if err != nil {
			return err
		}
		if err := threadDropped(string(text), uid, gid); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// threadDropped looks at what /proc says of a thread (proc_pid_status(5)).
func threadDropped(text string, uid, gid int) error {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		switch key {
		case "Uid", "Gid":
			want := strconv.Itoa(uid)
			if key == "Gid" {
				want = strconv.Itoa(gid)
			}
			for _, f := range fields {
				if f != want {
					return fmt.Errorf("%s is %s, not %s", strings.ToLower(key), f, want)
				}
			}
		case "CapPrm", "CapEff", "CapAmb":
			if len(fields) != 1 || strings.Trim(fields[0], "0") != "" {
				return fmt.Errorf("capabilities are left: %s %s", key, strings.TrimSpace(value))
			}
		}
	}
	return nil
}
