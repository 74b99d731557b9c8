package scripting

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// osDate is os.date: the fields of a time, or its text.
func osDate(s *state, L *lua.LState) int {
	form, t := optText(L, 1, "%c"), s.time()
	if L.Get(2) != lua.LNil {
		t = time.Unix(int64(checkInt(L, 2)), 0)
	}
	form, utc := strings.CutPrefix(form, "!")
	if utc {
		t = t.UTC()
	}
	if strings.HasPrefix(form, "*t") {
		return give(L, dateFields(L, t))
	}
	s.meter.chargeBytes(len(form))
	var b strings.Builder
	for {
		text, rest, found := strings.Cut(form, "%")
		b.WriteString(text)
		if !found || rest == "" {
			break
		}
		b.WriteString(dateField(t, rest[0]))
		form = rest[1:]
	}
	return give(L, lua.LString(b.String()))
}

func dateFields(L *lua.LState, t time.Time) *lua.LTable {
	fields := L.NewTable()
	for name, n := range map[string]int{
		"year": t.Year(), "month": int(t.Month()), "day": t.Day(), "hour": t.Hour(), "min": t.Minute(), "sec": t.Second(),
		"wday": int(t.Weekday()) + 1, "yday": t.YearDay(),
	} {
		fields.RawSetString(name, lua.LNumber(n))
	}
	fields.RawSetString("isdst", lua.LBool(t.IsDST()))
	return fields
}

// dateForms are the fields of a date that Go has a form for.
var dateForms = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'c': "Mon Jan _2 15:04:05 2006", 'd': "02", 'H': "15", 'I': "03",
	'j': "002", 'm': "01", 'M': "04", 'p': "PM", 'S': "05", 'x': "01/02/06", 'X': "15:04:05", 'y': "06", 'Y': "2006", 'Z': "MST",
}

// dateField is what stands for a letter behind "%", as strftime of C has it.
func dateField(t time.Time, letter byte) string {
	if form, ok := dateForms[letter]; ok {
		return t.Format(form)
	}
	const week = 7
	switch day := int(t.Weekday()); letter {
	case 'w':
		return strconv.Itoa(day)
	case 'U': // weeks that begin on Sunday
		return fmt.Sprintf("%02d", (t.YearDay()-1+week-day)/week)
	case 'W': // weeks that begin on Monday
		return fmt.Sprintf("%02d", (t.YearDay()-1+week-(day+week-1)%week)/week)
	case '%':
		return "%"
	}
	return "%" + string(letter)
}
