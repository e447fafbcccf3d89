package main

import (
	"context"

	"sipscope/capture"
	"sipscope/element/tap"
)

// openOwn makes a door of the packets that elements of this program send and receive: they take the way of all packets.
func (in *input) openOwn(ctx context.Context, name string, source *tap.Source) (*door, error) {
	o := &opening{door: &door{name: name}, in: in}
	o.sources = []capture.Source{source}
	o.names = []func(uint16) string{func(uint16) string { return name }}
	o.stops = []func(){func() { _ = source.Close() }} // it has nothing to lose
	o.kinds = []func() []capture.SourceStatus{func() []capture.SourceStatus {
		st := source.Status()
		st.Name = name
		return []capture.SourceStatus{st}
	}}
	for _, step := range []func(context.Context) error{o.chain, o.keep} {
		if err := step(ctx); err != nil {
			o.close()
			return nil, err
		}
	}
	return o.door, nil
}
