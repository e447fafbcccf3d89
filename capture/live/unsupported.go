//go:build !linux && !libpcap

package live

import (
	"context"
	"fmt"

	"sipscope/capture"
)

// Source stands for what this build cannot do.
type Source struct{}

var _ capture.Source = (*Source)(nil)

// Open gives ErrUnsupported, with what would help.
func Open(o Options) (*Source, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: on this system it takes libpcap (go build -tags libpcap)", ErrUnsupported)
}

// Next gives ErrUnsupported.
func (*Source) Next(_ context.Context, b *capture.Batch) error {
	b.Release()
	return ErrUnsupported
}

// Devices gives none.
func (*Source) Devices() []string { return nil }

// Stats gives none.
func (*Source) Stats() []Stats { return nil }

// Stop does nothing.
func (*Source) Stop() {}

// Close does nothing.
func (*Source) Close() error { return nil }
