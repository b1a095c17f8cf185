package flow

import "sync"

// Derived returns a function for what build makes of the Schema: made when it
// is first needed, and anew after Define. It is for tables that a package
// would else make when it is initialised, too early for the columns of an
// operator's own. The function is safe for concurrent use.
func Derived[T any](build func() T) func() T {
	var lock sync.Mutex
	var columns Column // that value was made of
	var value T
	return func() T {
		lock.Lock()
		defer lock.Unlock()
		if columns != Columns() {
			value, columns = build(), Columns()
		}
		return value
	}
}
