"""
Small defects, planted one at a time: the tests have to notice each.
"""
