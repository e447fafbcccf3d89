// Package sipp writes a recorded call as a pair of scenarios for SIPp: one that plays the caller (UAC), one that plays
// the callee (UAS).
//
//	call, texts ─▶ view: what one participant sent and received ─▶ script: sends, receives, pauses ─▶ XML
//	                                                                 └── both scripts played against each other: Pair.Apart
//
// What SIPp must make itself becomes its keywords: Call-ID, tags, branches, addresses and ports of the participant, route
// set and remote target, digest answers, RAck. All other bytes are sent as recorded: those that would mean something to
// SIPp or to XML are written as \xHH. What SIPp cannot do is left out and told in Scenario.Notes, which are in the XML as
// well.
//
// The limits are those of SIPp 3.6: its files have at most MaxXML bytes. The package reads no captures, writes no files
// and does not start SIPp.
package sipp
