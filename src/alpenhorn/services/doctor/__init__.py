"""`alpenhorn doctor`: look at everything that a daemon on this host needs.

One file per subject; each yields findings and never raises for what is wrong with the site.
`examine` puts them in order. Nothing here writes into the Data Index.
"""
