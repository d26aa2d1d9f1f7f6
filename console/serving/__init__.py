"""The model server: one process a deployment. It follows its alias, swaps without dropping a request, and logs what it
said."""
