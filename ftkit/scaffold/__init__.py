"""What `ftkit new` writes: a plugin of any kind that works as it comes out, and a recipe for a file of data.

kinds      the kinds of plugins, one for each hook
names      what a plugin, its package and its component are called
templates  a plugin of each kind, to be copied
plugin     the templates of a kind as a folder under other names
columns    the columns of a table, and which of them are texts and labels
proposal   task, lengths, backbone and floor for what the columns show
recipe     the recipe of a proposal
written    files that are written all together or not at all
"""
