"""A context that is to be added: made of what a person says, asked whether it answers, written down."""
