"""When a monitor speaks up, what people answer, and what a policy would have done."""
