// Package output writes captures as they happen: pcapng or pcap, plain or zstd, into one file or a row of files that
// begin by size, time or count.
//
// What is written is always readable: a file ends with a whole block (or record, or zstd frame) after every flush, which
// comes once a second of packet time, also when the disk is full or the process is killed. Time comes from the packets
// and from Tick.
//
// # Names
//
// Options.Path is the name of the first file. It may contain %Y %m %d %H %M %S %s (seconds since 1970) and %%, filled in
// with the time of a file's first packet. Where a later file would get the name of the one before, it gets a number before
// the extension: call.pcapng, call-000002.pcapng, call-000003.pcapng.zst and so on. Numbers whose file exists already are
// passed over, unless Options.Force says that files may be overwritten.
//
// An Output is safe for concurrent use.
package output

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"sipscope/capture"
)

// ErrFull says that a disk is full. Output tries again by itself after a second of packet time.
var ErrFull = errors.New("the disk is full")

// errClosed says that the Output was closed.
var errClosed = errors.New("the output is closed")

// second is how often what waits is written, and how long after a failure it is tried again: nanoseconds of packet time.
const second = 1_000_000_000

// Bytes of packets that wait for a flush, plain and for zstd, whose frames compress better the longer they are, and at
// most, while the disk is full.
const (
	flushAt     = 256 << 10
	flushZstdAt = 1 << 20
	maxPending  = 2 << 20
)

// Options say what is written, and where.
type Options struct {
	// Path is where, see the package comment; "-" is Writer.
	Path string
	// Writer takes what a Path of "-" writes; it is not closed.
	Writer io.Writer
	// MaxBytes, MaxAge and MaxPackets begin a new file before the packet with which one would have more bytes on disk, or
	// with which its first packet would be older, or that would be one too many. 0 never does. A file has one packet at
	// least.
	MaxBytes   int64
	MaxAge     time.Duration // of packet time
	MaxPackets uint64
	// Files is how many files stay at most; the oldest that this Output has made are removed. 0 keeps all.
	Files int
	// Zstd compresses, as a Path that ends with .zst does.
	Zstd bool
	// Pcap writes classic pcap, as a Path that ends with .pcap or .pcap.zst does; else it is pcapng. It has no comments,
	// and packets of one link type only: capture.ErrLinkType is what another one gets.
	Pcap bool
	// Names gives names of interfaces by Packet.Iface, for pcapng; nil when there are none.
	Names func(iface uint16) string
	// Counts gives what an interface received and dropped since the start, for the end of each pcapng file; nil, or false,
	// when it is not known.
	Counts func(iface uint16) (capture.NGCounts, bool)
	// Application is what writes (shb_userappl); empty for sipscope.
	Application string
	// Mode is the permission of new files, 0 for 0600: captures are private.
	Mode os.FileMode
	// Force overwrites existing files; else Create gives fs.ErrExist, unless the file is empty. Pipes and devices are
	// written to without.
	Force bool
	// Zone is for the times in names, nil for UTC.
	Zone *time.Location
	// OnDone is told of every file that is finished, by the goroutine whose call has finished it. It must not call the
	// Output.
	OnDone func(path string)
}

// Stats are figures of an Output.
type Stats struct {
	Path    string // of the file being written, or of the last one
	Files   uint64 // files made
	Packets uint64 // packets taken in
	Bytes   int64  // bytes written to all files, compressed where they are
	Waiting int64  // bytes that wait for the next flush
	Dropped uint64 // packets not written: the disk was full or failed, or the format cannot hold them
	// LastError is why writing fails; empty when it does not.
	LastError string
}

// Output writes packets to files.
type Output struct {
	mu      sync.Mutex
	o       Options
	format  format
	namer   namer
	target  *target // nil before the first file, between two, and after a failure to make one
	finish  []string
	made    []string // files that are still there, oldest first, at most o.Files
	now     int64    // packet time reached
	begun   bool     // now is set
	flushed int64    // now at the last flush
	failing error
	failed  int64 // now at that time
	broken  bool  // for good
	closed  bool
	stats   Stats
}

// Create makes the first file, so that what is wrong with it is told at once; a Path with a time in it gets its file with
// the first packet. The error names the path; fs.ErrExist says that there is a file already.
func Create(o Options) (*Output, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	p := &Output{o: o, namer: namer{pattern: o.Path, zone: o.Zone}}
	if err := p.namer.check(); err != nil {
		return nil, fmt.Errorf("output %s: %w", o.Path, err)
	}
	p.format.init(&p.o)
	if p.namer.timed() {
		return p, nil
	}
	if err := p.begin(false); err != nil {
		if t := p.target; t != nil { // there was no room for its header
			err = errors.Join(err, t.close())
			if t.regular {
				err = errors.Join(err, os.Remove(t.path))
			}
		}
		p.format.close()
		return nil, err
	}
	return p, nil
}

// complete checks the options and fills in defaults.
func (o *Options) complete() error {
	switch {
	case o.Path == "":
		return errors.New("no path")
	case o.Path == "-" && o.Writer == nil:
		return errors.New("no writer for -")
	case o.MaxBytes < 0 || o.MaxAge < 0 || o.Files < 0:
		return errors.New("a limit is negative")
	case o.Path == "-" && (o.rotates() || o.Files > 0):
		return errors.New("- is no row of files")
	}
	if o.Mode == 0 {
		o.Mode = 0o600
	}
	if o.Application == "" {
		o.Application = "sipscope"
	}
	base, compressed := strings.CutSuffix(o.Path, ".zst")
	o.Zstd = o.Zstd || compressed
	o.Pcap = o.Pcap || strings.HasSuffix(base, ".pcap")
	return nil
}

// rotates tells whether there may be a second file.
func (o *Options) rotates() bool { return o.MaxBytes > 0 || o.MaxAge > 0 || o.MaxPackets > 0 }

// Write takes in a packet, with a comment for pcapng where that is not empty. An error says that this packet is not
// written, and counted; the next one may be: errors.Is(err, ErrFull) holds while the disk is full, and what the format
// cannot hold (capture.ErrTime, capture.ErrLinkType) harms nothing else.
func (p *Output) Write(pkt *capture.Packet, comment string) error {
	p.mu.Lock()
	defer p.unlock()
	if p.closed {
		return errClosed
	}
	if pkt.Time > p.now || !p.begun { // a clock set back is for Tick to tell; here, it is a packet out of order
		p.advance(pkt.Time)
	}
	if err := p.write(pkt, comment); err != nil {
		p.stats.Dropped++
		return err
	}
	p.stats.Packets++
	if len(p.format.buf) >= p.threshold() {
		p.attempt()
	}
	return nil
}

func (p *Output) write(pkt *capture.Packet, comment string) error {
	if p.broken {
		return p.failing
	}
	size := p.format.size(pkt, comment)
	if p.target != nil && p.due(pkt, size) {
		if err := p.rotate(); err != nil {
			return err
		}
	}
	if p.target == nil {
		if !p.mayTry() {
			return p.failing
		}
		p.namer.at = pkt.Time
		if err := p.note(p.begin(p.stats.Files > 0)); err != nil {
			return err
		}
	}
	if p.format.pending() > 0 && p.format.pending()+size > maxPending {
		// So much waits after a failure, or before a very large packet.
		if p.attempt(); p.failing != nil {
			return p.failing
		}
	}
	if err := p.format.append(pkt, comment); err != nil {
		return err
	}
	if p.target.packets++; p.target.packets == 1 {
		if p.target.first = pkt.Time; p.o.Pcap {
			p.attempt() // its header comes with the first packet, and a file should not be without one
		}
	}
	return nil
}

// due tells whether a packet, of size bytes at most in the file, belongs to a new file.
func (p *Output) due(pkt *capture.Packet, size int) bool {
	t := p.target
	if t.packets == 0 {
		return false
	}
	if p.o.MaxPackets > 0 && t.packets >= p.o.MaxPackets ||
		p.o.MaxAge > 0 && pkt.Time-t.first >= int64(p.o.MaxAge) {
		return true
	}
	if p.o.MaxBytes <= 0 {
		return false
	}
	if p.o.Zstd && t.size+int64(len(p.format.buf)+size) > p.o.MaxBytes && len(p.format.buf) >= flushAt/4 {
		p.attempt() // what it is when compressed
	}
	return t.size+int64(p.format.pending()+size+p.format.slack()) > p.o.MaxBytes
}

// threshold is how many bytes are worth a write.
func (p *Output) threshold() int {
	if p.o.Zstd {
		return flushZstdAt
	}
	return flushAt
}

// Tick says how late it is, in packet time: what waited for a second is written, what failed is tried again, and a file
// that is old enough is finished though no packet comes. The error is about writing; packets that could not be written
// wait on.
func (p *Output) Tick(now int64) error {
	p.mu.Lock()
	defer p.unlock()
	if p.closed {
		return errClosed
	}
	if p.advance(now); p.failing != nil {
		return p.failing
	}
	if t := p.target; t != nil && p.o.MaxAge > 0 && t.packets > 0 && now-t.first >= int64(p.o.MaxAge) {
		return p.rotate()
	}
	return nil
}

// advance takes the time that was reached, and writes what is a second old.
func (p *Output) advance(now int64) {
	if !p.begun {
		p.begun, p.flushed = true, now
	}
	p.now = now
	if age := now - p.flushed; age >= second || age < -second {
		p.flushed = now
		p.attempt()
	}
}

// mayTry tells whether it is time to write: not within a second after a failure.
func (p *Output) mayTry() bool {
	return !p.broken && (p.failing == nil || p.now-p.failed >= second || p.now < p.failed)
}

// attempt writes what waits, unless that has just failed.
func (p *Output) attempt() {
	if p.target != nil && p.mayTry() {
		_ = p.note(p.flush()) // p.failing tells
	}
}

// note keeps what a write gave. A stream that failed is broken for good: nobody knows how much of a block went through.
func (p *Output) note(err error) error {
	if p.failing = err; err != nil {
		p.failed = p.now
		p.broken = p.target != nil && !p.target.regular
	}
	return err
}

// flush writes what waits to the target, as far as there is room.
func (p *Output) flush() error {
	if p.format.pending() == 0 {
		return nil
	}
	before := p.target.size
	err := p.format.flush(p.target)
	p.stats.Bytes += p.target.size - before
	return err
}

// rotate finishes the file. The next one comes with the next packet. While the disk is full, the file waits for room.
func (p *Output) rotate() error {
	if !p.mayTry() {
		return p.failing
	}
	return p.note(p.end())
}

// end writes what waits and closes the file.
func (p *Output) end() error {
	t := p.target
	if t == nil {
		return nil
	}
	p.format.finish(p.now)
	if err := p.flush(); err != nil {
		return err
	}
	if len(p.format.buf) > 0 { // what waited compressed went first
		if err := p.flush(); err != nil {
			return err
		}
	}
	n, err := p.format.last(t)
	if err != nil {
		return err
	}
	p.stats.Bytes += n
	return p.leave()
}

// leave closes the file.
func (p *Output) leave() error {
	t := p.target
	p.target = nil
	if t.path != "-" && p.o.OnDone != nil {
		p.finish = append(p.finish, t.path)
	}
	if err := t.close(); err != nil {
		return fmt.Errorf("output %s: %w", t.path, err)
	}
	return nil
}

// unlock tells of finished files, without the lock.
func (p *Output) unlock() {
	done := p.finish
	p.finish = nil
	p.mu.Unlock()
	for _, path := range done {
		p.o.OnDone(path)
	}
}

// Reopen finishes the file and makes it again at Path, from which somebody has moved it (logrotate, with SIGHUP). When it
// is still there, it goes on: what waits is written.
func (p *Output) Reopen() error {
	p.mu.Lock()
	defer p.unlock()
	if p.closed {
		return errClosed
	}
	t := p.target
	if t == nil || !t.regular {
		return nil
	}
	if t.inPlace() {
		p.attempt()
		return p.failing
	}
	if err := p.note(p.end()); err != nil {
		return err
	}
	if p.namer.timed() {
		return nil // with the next packet
	}
	p.namer.again()
	return p.note(p.begin(true))
}

// Close writes what waits and finishes the file. It tells what could not be written. Close may be called again.
func (p *Output) Close() error {
	p.mu.Lock()
	defer p.unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	defer p.format.close()
	if p.target == nil {
		return nil
	}
	err := p.failing
	if !p.broken {
		err = p.note(p.end())
	}
	if p.target != nil {
		err = errors.Join(err, p.leave())
	}
	if lost := p.format.waiting(); lost > 0 {
		p.stats.Dropped += lost
		p.stats.Packets -= lost
		err = fmt.Errorf("%d packets lost: %w", lost, err)
	}
	p.format.forget()
	return err
}

// Stats gives the figures of now.
func (p *Output) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := p.stats
	st.Waiting = int64(p.format.pending())
	if p.failing != nil {
		st.LastError = p.failing.Error()
	}
	return st
}

// begin makes a file. numbered says that another name may be taken when there is a file already.
func (p *Output) begin(numbered bool) error {
	t, err := p.open(numbered)
	if err != nil {
		return err
	}
	p.target = t
	p.stats.Files++
	p.stats.Path = t.path
	p.format.start()
	if !p.o.Pcap { // a file that can be read, though no packet has come
		return p.flush()
	}
	return nil
}

// open opens what to write to.
func (p *Output) open(numbered bool) (*target, error) {
	if p.o.Path == "-" {
		return &target{path: "-", w: p.o.Writer}, nil
	}
	t, err := p.create(numbered)
	if isFull(err) {
		err = fmt.Errorf("%w: %w", ErrFull, err)
	}
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	if t.regular {
		p.keep(t.path)
	}
	return t, nil
}

// maxNames is how many names are tried for a file.
const maxNames = 1_000_000

func (p *Output) create(numbered bool) (*target, error) {
	for range maxNames {
		path := p.namer.next()
		t, err := openTarget(path, p.o.Mode, p.o.Force)
		if err == nil || !numbered || !errors.Is(err, fs.ErrExist) {
			return t, err
		}
	}
	return nil, fmt.Errorf("%s: %w", p.o.Path, fs.ErrExist)
}

// keep remembers a new file and removes the oldest ones beyond Files.
func (p *Output) keep(path string) {
	if p.o.Files == 0 {
		return
	}
	left := p.made[:0]
	for _, old := range p.made {
		if old != path { // it was moved away, and is not ours any more
			left = append(left, old)
		}
	}
	p.made = append(left, path)
	for len(p.made) > p.o.Files {
		_ = os.Remove(p.made[0]) // somebody may have moved it
		p.made = append(p.made[:0], p.made[1:]...)
	}
}
