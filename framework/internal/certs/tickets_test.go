package certs

import (
	"testing"
	"time"
)

func TestTicketKeys(t *testing.T) {
	var k tickets
	now := time.Now()
	first, made := k.current(now)
	if again, still := k.current(now.Add(ticketKeyLife)); made != 1 || still != made || len(again) != 1 || again[0] != first[0] {
		t.Error("the first key does not last")
	}
	for i := range 5 {
		now = now.Add(ticketKeyLife + time.Second)
		keys, made := k.current(now)
		if made != uint64(i+2) || len(keys) != min(i+2, ticketKeys) || keys[0] == first[0] || i < ticketKeys-1 && keys[len(keys)-1] != first[0] {
			t.Errorf("after %d: %d keys", i, len(keys))
		}
	}
}
