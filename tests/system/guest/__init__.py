"""
What runs inside the virtual machine: daemons, phones, clients, and what is
looked at while they run.

Everything blocks and has one thread, so that nothing depends on who is faster;
every wait has an end.
"""
