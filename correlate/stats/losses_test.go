package stats_test

import (
	"reflect"
	"testing"

	"sipscope/correlate"
	"sipscope/correlate/stats"
	"sipscope/decode"
)

// Every counter of a limit is told, in words of its own: a new one must not be forgotten. Two are parts of others.
func TestLossesAreWhole(t *testing.T) {
	t.Parallel()
	parts := map[string]bool{"ExpiredCalls": true, "EvictedMessages": true} // of EvictedCalls, and what went with them
	said := map[string]string{}
	each := func(v reflect.Value, list func() []stats.Loss) {
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			v.Field(i).SetUint(7)
			all := list()
			v.Field(i).SetUint(0)
			switch {
			case parts[name]:
			case len(all) != 1 || all[0].N != 7 || all[0].What == "":
				t.Errorf("%s: %+v", name, all)
			case said[all[0].What] != "":
				t.Errorf("%s and %s are both %q", name, said[all[0].What], all[0].What)
			default:
				said[all[0].What] = name
			}
		}
	}
	var l correlate.Limited
	var s decode.StreamLimits
	list := func() []stats.Loss { return stats.Losses(&l, &s) }
	each(reflect.ValueOf(&l).Elem(), list)
	each(reflect.ValueOf(&s).Elem(), list)
	var r stats.Result
	said = map[string]string{}
	each(reflect.ValueOf(&r.Streams).Elem(), r.Losses)
}
