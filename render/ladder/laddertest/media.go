package laddertest

import (
	"math"

	"sipscope/correlate/media"
	"sipscope/correlate/media/dtmf"
	"sipscope/correlate/media/judge"
	"sipscope/render/ladder"
)

// Streams are those of TwoProxies: both directions of its audio, keys pressed by the caller, and a third stream from a
// media server that stands beside the second proxy and has an address of its own.
func Streams(num uint32) []media.Stream {
	base := media.Stream{
		Call: num, Type: "audio", Found: media.BySDP, Expected: 182, Packets: 182, Bytes: 29120, First: Start + ms(1590),
		Last: Start + ms(5080), FirstFrame: 15, LastFrame: 377, MeanJitter: 1_200_000, MaxJitter: 2_500_000, Jitter: 900_000,
		MaxGap: ms(22), PTime: ms(20), Skew: math.NaN(), DSCP: 46, MOS: 4.38, R: 92,
		Payloads: []media.Payload{{PT: 0, Name: "PCMU", Clock: 8000, Packets: 182, Bytes: 29120}},
	}
	to := base
	to.Num, to.SSRC, to.Message, to.Medium = 1, 0x1a2b3c4d, 9, 0
	to.Src, to.Dst = Endpoint("10.77.0.10:49170"), Endpoint("10.77.0.40:4000")
	to.Payloads = append(to.Payloads, media.Payload{PT: 101, Name: "telephone-event", Clock: 8000, Packets: 21})
	to.Presses = []dtmf.Press{
		{Digit: '1', Via: dtmf.ViaEvent, Ended: true, Start: Start + ms(2000), Duration: ms(160), First: 60, Last: 70, Packets: 7},
		{Digit: '2', Via: dtmf.ViaEvent, Ended: true, Start: Start + ms(2400), Duration: ms(160), First: 80, Last: 90, Packets: 7},
		{Digit: '#', Via: dtmf.ViaEvent, Start: Start + ms(2900), Duration: -1, First: 100, Last: 110, Packets: 7},
	}
	to.Seconds = []media.Second{
		{At: 0, Packets: 50, Jitter: 800, Bytes: 8000},
		{At: 1, Packets: 50, Jitter: 2500, Bytes: 8000},
		{At: 2, Packets: 50, Jitter: 900, Bytes: 8000},
		{At: 3, Packets: 32, Jitter: 900, Bytes: 5120},
	}
	back := base
	back.Num, back.SSRC, back.Message, back.Medium = 2, 0x55667788, 0, 0
	back.Src, back.Dst = to.Dst, to.Src
	back.Packets, back.Missing, back.Lost = 180, 2, 2
	server := base
	server.Num, server.SSRC, server.Message, server.Medium, server.First = 3, 7, 0, 0, Start+ms(700)
	server.Last, server.Found = Start+ms(1500), media.BySymmetry
	server.Src, server.Dst = Endpoint("192.0.2.9:10000"), to.Src
	return []media.Stream{server, to, back}
}

// Media lays TwoProxies out with its media and two findings.
func Media() ladder.Options {
	return ladder.Options{Streams: Streams, Findings: func(uint32) []judge.Finding {
		return []judge.Finding{
			{Code: judge.EarlyMedia, Severity: judge.Note, Time: Start + ms(700), Text: "media before the answer", Stream: 3, Frames: []uint64{9}},
			{Code: judge.LateMedia, Severity: judge.Warning, Time: Start + ms(1600), Text: "a finding of no stream", Frames: []uint64{13}},
		}
	}}
}
