package strict_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fwx/framework/strict"
)

func TestPositionString(t *testing.T) {
	for want, p := range map[string]strict.Position{
		"config.toml:12:3": {File: "config.toml", Line: 12, Column: 3},
		"12:3":             {Line: 12, Column: 3},
		"config.toml":      {File: "config.toml"},
		"":                 {},
	} {
		if got := p.String(); got != want {
			t.Errorf("%#v is %q, not %q", p, got, want)
		}
	}
}

func TestErrorsAreSorted(t *testing.T) {
	at := func(file string, line, column int, message string) *strict.Error {
		return &strict.Error{Position: strict.Position{File: file, Line: line, Column: column}, Message: message}
	}
	var mistakes strict.Errors
	mistakes.Add(at("b", 1, 1, "fifth"))
	mistakes.Add(nil)
	mistakes.Add(strict.Errors{at("a", 2, 1, "third"), at("a", 1, 9, "second")})
	mistakes.Add(strict.Errors(nil).Err())
	mistakes.Add(errors.New("first"))
	mistakes.Add(at("a", 2, 1, "fourth"))
	want := []string{"first", "a:1:9: second", "a:2:1: third", "a:2:1: fourth", "b:1:1: fifth"}
	if diff := cmp.Diff(want, report(mistakes.Err())); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if mistakes[0].Message != "fifth" {
		t.Error("Err has sorted what it was called on")
	}
}

func TestNoErrors(t *testing.T) {
	if err := (strict.Errors{}).Err(); err != nil {
		t.Errorf("Err of no mistakes is %v", err)
	}
}

func TestErrorsUnwrap(t *testing.T) {
	one := strict.Table{}.Errorf("a", "wrong")
	if err := (strict.Errors{one}).Err(); !errors.Is(err, one) {
		t.Errorf("%v does not unwrap to its element", err)
	}
}
