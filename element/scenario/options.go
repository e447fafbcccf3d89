package scenario

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// reader takes the options of a line, and finds those that nobody asked for.
type reader struct {
	left Options
	errs []error
}

func (o Options) read() *reader { return &reader{left: maps.Clone(o)} }

// text gives an option's value, or what stands for it.
func (r *reader) text(name, otherwise string) string {
	value, ok := r.left[name]
	if !ok {
		return otherwise
	}
	delete(r.left, name)
	return value
}

// duration gives a time.
func (r *reader) duration(name string, otherwise time.Duration) time.Duration {
	value := r.text(name, "")
	if value == "" {
		return otherwise
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		r.errs = append(r.errs, fmt.Errorf("%w: %s=%s is no time such as 40ms or 2s", ErrFlow, name, value))
	}
	return d
}

// number gives a count.
func (r *reader) number(name string, otherwise int) int {
	value := r.text(name, "")
	if value == "" {
		return otherwise
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		r.errs = append(r.errs, fmt.Errorf("%w: %s=%s is no number", ErrFlow, name, value))
	}
	return n
}

// yes gives yes or no.
func (r *reader) yes(name string, otherwise bool) bool {
	switch value := r.text(name, ""); value {
	case "":
		return otherwise
	case "yes", "no":
		return value == "yes"
	default:
		r.errs = append(r.errs, fmt.Errorf("%w: %s=%s is neither yes nor no", ErrFlow, name, value))
		return false
	}
}

// end says what was wrong, names that mean nothing here included.
func (r *reader) end() error {
	errs := r.errs
	if len(r.left) > 0 {
		names := slices.Sorted(maps.Keys(r.left))
		errs = append(errs, fmt.Errorf("%w: no such option here: %s", ErrFlow, strings.Join(names, ", ")))
	}
	return errors.Join(errs...)
}
