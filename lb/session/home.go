package session

// first is the home that holds after a bind: the session has one, or gets one.
func first(has, gets Home) Home {
	if has != None {
		return has
	}
	return gets
}

// moved is the home that holds after a rebind.
func moved(has, from, to Home) Home {
	if has == None || has == from {
		return to
	}
	return has
}
