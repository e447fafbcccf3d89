package capture

import (
	"bytes"
	"sync"
)

// Bounds of packet comments: what is beyond is dropped and counted.
const (
	maxComment      = 64 << 10 // bytes of one packet's comments
	maxCommentBytes = 16 << 20 // bytes kept over all packets
)

// note is the comment of a frame of one file, before the merge gives the frame its Seq.
type note struct {
	frame uint64
	text  []byte
}

// notes is a queue of the comments of frames that a reader has read and Next has not given yet: those of one batch.
type notes struct {
	queue   []note
	dropped uint64
}

// add appends a comment; several of one packet are lines of one.
func (n *notes) add(frame uint64, text []byte) {
	if last := len(n.queue) - 1; last >= 0 && n.queue[last].frame == frame {
		if len(n.queue[last].text)+1+len(text) > maxComment {
			n.dropped++
			return
		}
		n.queue[last].text = append(append(n.queue[last].text, '\n'), text...)
		return
	}
	if len(text) > maxComment {
		n.dropped++
		return
	}
	n.queue = append(n.queue, note{frame: frame, text: bytes.Clone(text)})
}

// take gives the comment of a frame; frames are asked for in their order.
func (n *notes) take(frame uint64) (string, bool) {
	if len(n.queue) == 0 || n.queue[0].frame != frame {
		return "", false
	}
	text := string(n.queue[0].text)
	n.queue = n.queue[1:]
	if len(n.queue) == 0 {
		n.queue = nil
	}
	return text, true
}

// comments keeps packet comments by Seq within bounds. It is safe for concurrent use.
type comments struct {
	mu      sync.Mutex
	bySeq   map[uint64]string
	bytes   int
	dropped uint64
}

func (c *comments) set(seq uint64, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	const entry = 64 // bytes that a map entry costs beside the text
	if c.bytes+len(text)+entry > maxCommentBytes {
		c.dropped++
		return
	}
	if c.bySeq == nil {
		c.bySeq = map[uint64]string{}
	}
	c.bySeq[seq] = text
	c.bytes += len(text) + entry
}

func (c *comments) get(seq uint64) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bySeq[seq]
}

func (c *comments) drop(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropped += n
}

func (c *comments) droppedCount() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropped
}
