package syntax

import "github.com/yuin/gopher-lua/ast"

// at gives a new node the lines of the one that it stands for.
func at[T ast.PositionHolder](node T, place ast.PositionHolder) T {
	node.SetLine(place.Line())
	node.SetLastLine(place.LastLine())
	return node
}

// block makes a block of statements.
func block(place ast.PositionHolder, statements ...ast.Stmt) *ast.DoBlockStmt {
	return at(&ast.DoBlockStmt{Stmts: statements}, place)
}

// assign makes the assignment of one value.
func assign(place ast.PositionHolder, left, right ast.Expr) *ast.AssignStmt {
	return at(&ast.AssignStmt{Lhs: []ast.Expr{left}, Rhs: []ast.Expr{right}}, place)
}

// ident makes the use of a name.
func ident(place ast.PositionHolder, name string) *ast.IdentExpr {
	return at(&ast.IdentExpr{Value: name}, place)
}

// only returns the one element of a list, or nil.
func only[T any](list []T) (element T) {
	if len(list) == 1 {
		return list[0]
	}
	return element
}

// adjust makes an expression give one value, as in parentheses.
func adjust(e ast.Expr) ast.Expr {
	switch v := e.(type) {
	case *ast.FuncCallExpr:
		v.AdjustRet = true
	case *ast.Comma3Expr:
		v.AdjustRet = true
	}
	return e
}

// givesMany tells whether an expression gives any number of values at the end of a list.
func givesMany(e ast.Expr) bool {
	switch v := e.(type) {
	case *ast.FuncCallExpr:
		return !v.AdjustRet
	case *ast.Comma3Expr:
		return !v.AdjustRet
	}
	return false
}
