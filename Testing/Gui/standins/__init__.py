"""Stand-ins for what has no wheel: CTK's and Slicer's widgets, and Slicer's base classes for scripted modules.

Each widget class has the properties and signals of the facts; its public methods are slots or invokable methods of the
facts (``making.make`` refuses others), so that code that runs on a stand-in uses nothing that Slicer does not have.
"""
