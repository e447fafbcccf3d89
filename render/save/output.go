package save

import (
	"io"
	"iter"

	"sipscope/correlate"
)

// How much is done between two reports. Reading again goes through some millions of frames a second and writing
// through some hundred MiB, so these are a few tens of reports a second at most on today's machines.
const (
	reportPass  = 1 << 17 // frames gone through
	reportBytes = 8 << 20
	reportCalls = 1 << 11
)

// output is where a job writes: it counts, reports, and stops when it should.
type output struct {
	w       io.Writer
	stopped func() error // the cause when the context has ended, else nil
	report  func(Progress)
	p, told Progress
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	if err := o.stopped(); err != nil {
		return 0, err
	}
	n, err := o.w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	o.p.Bytes += int64(n)
	o.tell(false)
	return n, err
}

// tell reports when enough was done since the last time, or when it must.
func (o *output) tell(must bool) {
	if o.report == nil {
		return
	}
	if must || o.p.Pass-o.told.Pass >= reportPass || o.p.Bytes-o.told.Bytes >= reportBytes ||
		o.p.Calls-o.told.Calls >= reportCalls {
		o.told = o.p
		o.report(o.p)
	}
}

// calls gives the calls of a job until the context ends, and counts them.
func (o *output) calls(job *Job) iter.Seq[*correlate.Call] {
	return func(yield func(*correlate.Call) bool) {
		for c := range job.Calls {
			if o.stopped() != nil {
				return
			}
			o.p.Calls++
			if !yield(c) {
				return
			}
			o.tell(false)
		}
	}
}

// end gives a writer's error, why the calls ended early, or ErrNothing when there were none.
func (o *output) end(err error) error {
	if err == nil {
		err = o.stopped()
	}
	if err == nil && o.p.Calls == 0 {
		err = ErrNothing
	}
	return err
}
