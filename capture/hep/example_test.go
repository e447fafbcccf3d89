package hep

import (
	"context"
	"fmt"

	"sipscope/capture"
)

func ExampleListen() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l, err := Listen(ctx, ListenOptions{Addresses: []string{"udp:127.0.0.1:0"}, Window: -1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	s, err := NewSender(ctx, SendOptions{Address: "udp:" + l.Addrs()[0].String(), CaptureID: 7})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = s.Send(&Packet{Proto: 17, Type: TypeSIP, Src: a4, Dst: b4, Payload: []byte("OPTIONS sip:a SIP/2.0\r\n\r\n")})
	_ = s.Close(ctx)
	for b := (capture.Batch{}); b.Empty(); {
		if err := l.Next(ctx, &b); err != nil {
			fmt.Println(err)
			return
		}
		for i := range b.Packets {
			var p Packet
			_ = Decode(b.Packets[i].Data[28:], &p)
			fmt.Printf("agent %d: %v > %v: %d bytes\n", p.CaptureID, p.Src, p.Dst, len(p.Payload))
		}
	}
	// Output: agent 7: 192.0.2.1:5060 > 192.0.2.2:5080: 25 bytes
}
