package strict

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// Parse reads a document and returns its root table. The file name is used in
// positions only. The error, if any, is an Errors, with a single *Error as a rule:
// after a mistake of syntax there is no telling what the rest means.
func Parse(file string, text []byte) (Table, error) {
	root, _, err := parse(file, text)
	if err != nil {
		return Table{}, err
	}
	return tableOf(root, ""), nil
}

// parse also reports whether each value was located.
func parse(file string, text []byte) (root *node, complete bool, err error) {
	lines := newLines(file, withoutBOM(string(text)))
	values := make(map[string]any)
	if err := toml.Unmarshal(text, &values); err != nil {
		return nil, false, Errors{syntaxError(lines, err)}
	}
	root, mistakes := locate(lines)
	if len(mistakes) == 0 {
		complete = root.bind(values)
		mistakes = root.lost("")
	}
	return root, complete, mistakes.Err()
}

func syntaxError(lines *lines, err error) *Error {
	var syntax toml.ParseError
	if !errors.As(err, &syntax) {
		return &Error{Position: Position{File: lines.file}, Message: err.Error()}
	}
	return &Error{
		Position: lines.at(syntaxOffset(lines.text, syntax)),
		Message:  uncapitalised(strings.TrimSuffix(syntax.Message, ".")),
	}
}

// syntaxOffset returns where a mistake is. The parser says from where it read and
// how far; that is the place itself, save for what is wrong within a string.
func syntaxOffset(text string, err toml.ParseError) int {
	start := min(max(err.Position.Start, 0), len(text))
	end := min(start+max(err.Position.Len, 0), len(text))
	switch message := err.Message; {
	case strings.HasPrefix(message, "TOML files cannot contain control characters"):
		return start + 1
	case strings.HasPrefix(message, "invalid UTF-8 byte"):
		return start + validPrefix(text[start:])
	case strings.HasPrefix(message, "invalid escape in string"), strings.Contains(message, "hexadecimal digits after"):
		return max(start, strings.LastIndexByte(text[:end], '\\'))
	}
	return start
}

// validPrefix returns the number of bytes before the first that is not UTF-8.
func validPrefix(text string) int {
	for i, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)) {
			return i
		}
	}
	return len(text)
}

// uncapitalised begins a message with a small letter, unless it begins with an
// abbreviation.
func uncapitalised(message string) string {
	first, width := utf8.DecodeRuneInString(message)
	second, _ := utf8.DecodeRuneInString(message[width:])
	if unicode.IsUpper(second) {
		return message
	}
	return string(unicode.ToLower(first)) + message[width:]
}
