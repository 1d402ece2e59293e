"""
The engine C{threads}: pyusb's blocking transfers, two threads for each phone.
"""
