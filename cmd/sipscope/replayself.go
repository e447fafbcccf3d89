package main

import (
	"strconv"
	"time"

	"sipscope/element/auth"
)

// selfPatience is how many T1 later than recorded something may come that we send ourselves, over the loopback: what was
// lost was sent again twice by then, and what does not come never will.
const selfPatience = 4

// alone prepares a replay with ourselves alone.
func (r *replaying) alone() {
	c := r.c
	if !c.self {
		return
	}
	if c.patience == 0 {
		c.patience = selfPatience * max(c.t1, time.Millisecond)
	}
	rng := c.random()
	for i := range r.plan.Needs {
		n := &r.plan.Needs[i]
		user := n.User
		if to, ok := r.rules.Alias[user]; ok {
			user = to
		}
		if !r.has(n.Realm, user) { // both sides of the challenge are ours
			r.credentials = append(r.credentials, auth.Credentials{Realm: n.Realm, User: user, Password: strconv.FormatUint(rng.Uint64(), 36)})
		}
	}
}

// has reports whether there is a password for a user.
func (r *replaying) has(realm, user string) bool {
	for i := range r.credentials {
		if c := &r.credentials[i]; c.User == user && (c.Realm == "" || c.Realm == realm) {
			return true
		}
	}
	return false
}
