package syntax

import (
	"math"
	"strconv"

	"github.com/yuin/gopher-lua/ast"

	"fwx/scripting/internal/number"
)

// The compiler makes a jump of a constant operand of "and" and "or", and loops that begin with
// a jump go astray (loops.go). It reads numbers that it does not understand as NaN, and
// has one constant for 0 and -0.

// truth tells whether a constant is true, and whether an expression is one.
func truth(e ast.Expr) (value, constant bool) {
	switch e.(type) {
	case *ast.TrueExpr, *ast.NumberExpr, *ast.StringExpr:
		return true, true
	case *ast.FalseExpr, *ast.NilExpr:
		return false, true
	}
	return false, false
}

// foldLogic leaves out a constant left operand of "and" or "or": it decides which operand is the value.
func foldLogic(v *ast.LogicalOpExpr) ast.Expr {
	value, constant := truth(v.Lhs)
	switch {
	case !constant:
		return v
	case value == (v.Operator == "or"):
		return v.Lhs
	}
	return adjust(v.Rhs)
}

func foldNot(v *ast.UnaryNotOpExpr) ast.Expr {
	switch value, constant := truth(v.Expr); {
	case !constant:
		return v
	case value:
		return at(&ast.FalseExpr{}, v)
	}
	return at(&ast.TrueExpr{}, v)
}

// canonical returns the text of a number as the compiler understands it.
func canonical(v *ast.NumberExpr) string {
	n, ok := number.Parse(v.Value)
	if !ok {
		fail(v.Line(), "malformed number near %q", v.Value)
	}
	return strconv.FormatFloat(n, 'g', -1, 64)
}

// keepNegativeZero replaces an expression of constants whose value is -0 by one that the
// compiler does not compute.
func keepNegativeZero(e ast.Expr) ast.Expr {
	if n, ok := constantValue(e); !ok || n != 0 || !math.Signbit(n) {
		return e
	}
	return at(&ast.UnaryMinusOpExpr{Expr: at(&ast.StringExpr{Value: "0"}, e)}, e)
}

// constantValue computes an expression of constants. Its operands have been rewritten, so
// none of them is -0 by itself.
func constantValue(e ast.Expr) (float64, bool) {
	switch v := e.(type) {
	case *ast.NumberExpr:
		return number.Parse(v.Value)
	case *ast.UnaryMinusOpExpr:
		n, ok := constantValue(v.Expr)
		return -n, ok
	case *ast.ArithmeticOpExpr:
		left, ok := constantValue(v.Lhs)
		if !ok {
			return 0, false
		}
		right, ok := constantValue(v.Rhs)
		if !ok {
			return 0, false
		}
		return arithmetic(v.Operator, left, right), true
	}
	return 0, false
}

// arithmetic computes as the compiler does.
func arithmetic(operator string, left, right float64) float64 {
	switch operator {
	case "+":
		return left + right
	case "-":
		return left - right
	case "*":
		return left * right
	case "/":
		return left / right
	case "^":
		return math.Pow(left, right)
	}
	n := math.Mod(left, right)
	if right > 0 && n < 0 || right < 0 && n > 0 {
		n += right
	}
	return n
}
