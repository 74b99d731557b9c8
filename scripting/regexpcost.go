package scripting

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// start is what is known of where a match of an expression can begin. Where none
// begins a search goes on fast, however large the expression is.
type start struct {
	prefix   string    // of all matches; empty: there is none that is known
	whole    bool      // the prefix is all of it
	bytes    [256]bool // that a match can begin with
	empty    bool      // a match can be empty
	anchored bool      // it begins at the beginning of the text
	endless  bool      // it can be of any length
	width    int       // instructions that are looked at where one might begin
}

// startOf finds out where matches begin.
func startOf(tree *syntax.Regexp, re *regexp.Regexp) (s start, err error) {
	s.prefix, s.whole = re.LiteralPrefix()
	s.endless = repeatsEndlessly(tree)
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return s, err
	}
	s.anchored = program.StartCond()&syntax.EmptyBeginText != 0
	s.follow(program, make([]bool, len(program.Inst)), uint32(program.Start))
	return s, nil
}

func repeatsEndlessly(tree *syntax.Regexp) bool {
	switch tree.Op { //nolint:exhaustive // No other repeats.
	case syntax.OpStar, syntax.OpPlus:
		return true
	case syntax.OpRepeat:
		if tree.Max < 0 {
			return true
		}
	}
	return slices.ContainsFunc(tree.Sub, repeatsEndlessly)
}

// follow goes through the instructions that are reached from one without a character.
func (s *start) follow(program *syntax.Prog, seen []bool, at uint32) {
	if seen[at] {
		return
	}
	seen[at] = true
	s.width++
	switch inst := &program.Inst[at]; inst.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		s.follow(program, seen, inst.Out)
		s.follow(program, seen, inst.Arg)
	case syntax.InstCapture, syntax.InstEmptyWidth, syntax.InstNop:
		s.follow(program, seen, inst.Out)
	case syntax.InstMatch:
		s.empty = true
	case syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		s.mark(0, unicode.MaxRune)
	case syntax.InstRune, syntax.InstRune1:
		s.markRunes(inst)
	case syntax.InstFail:
	}
}

// markRunes notes what a character that an instruction takes begins with.
func (s *start) markRunes(inst *syntax.Inst) {
	if len(inst.Rune) == 1 {
		r := inst.Rune[0]
		s.mark(r, r)
		if syntax.Flags(inst.Arg)&syntax.FoldCase != 0 {
			for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
				s.mark(other, other)
			}
		}
		return
	}
	for i := 0; i+1 < len(inst.Rune); i += 2 {
		s.mark(inst.Rune[i], inst.Rune[i+1])
	}
}

// mark notes the bytes that characters of a range begin with.
func (s *start) mark(from, to rune) {
	for r := from; r <= min(to, utf8.RuneSelf-1); r++ {
		s.bytes[r] = true
	}
	if to >= utf8.RuneSelf {
		for b := utf8.RuneSelf; b < len(s.bytes); b++ {
			s.bytes[b] = true
		}
	}
}

// behindSize is by how many instructions r.behind is larger.
const behindSize = 4

// most returns what it counts at most to look for a match in a text of so many bytes.
func (r *regex) most(n int) int {
	return (n+1)*(r.size+behindSize)/workPerInstruction + n*(1+r.start.width)/scanPerInstruction
}

// affords reports whether the budget suffices to look for a match in a text, to its end. Only if
// that is not clear the text is looked at, which counts.
func (r *regex) affords(s *state, text string, within bool) bool {
	if int64(r.most(len(text))) <= s.meter.Left {
		return true
	}
	s.meter.chargeBytes(len(text))
	return int64(r.cost(text, within)) <= s.meter.Left
}

// cost returns what it counts to look for a match in a text, to its end. What lies within
// another is searched by r.behind, if there is one.
func (r *regex) cost(text string, within bool) int {
	s := &r.start
	if within && r.behind != nil {
		return (len(text) + 1) * (r.size + behindSize) / workPerInstruction
	}
	if s.whole {
		return len(text) / seekPerInstruction
	}
	if s.anchored {
		if !s.empty && (text == "" || !s.bytes[text[0]]) {
			return 0
		}
		return min(len(text)+1, r.reach()) * r.size / workPerInstruction
	}
	begins, scan := s.candidates(text)
	if s.endless && begins > 0 { // one may go on to the end
		begins = len(text) + 1
	}
	return scan + begins*r.size/workPerInstruction
}

// reach bounds the characters of a match: an instruction takes one at a time.
func (r *regex) reach() int {
	if r.start.endless {
		return maxStringSize
	}
	return r.size
}

// candidates returns in how many places of a text a match may begin, and what it counts to
// find them.
func (s *start) candidates(text string) (n, scan int) {
	switch {
	case s.empty:
		return len(text) + 1, 0
	case s.prefix != "":
		return strings.Count(text, s.prefix), len(text) / seekPerInstruction
	}
	for i := range len(text) {
		if s.bytes[text[i]] {
			n++
		}
	}
	return n, len(text) * (1 + s.width) / scanPerInstruction
}
