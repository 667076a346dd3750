"""The Qt classes that stand-ins are derived from, for type checkers.

A body in this folder is a plain class: ``making.Maker`` copies its methods into a class whose base, given by the facts,
is known only at run time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PySide6.QtCore import QObject as Object
    from PySide6.QtWidgets import QAbstractButton as AbstractButton
    from PySide6.QtWidgets import QTableView as TableView
    from PySide6.QtWidgets import QToolBar as ToolBar
    from PySide6.QtWidgets import QWidget as Widget
else:
    AbstractButton = Object = TableView = ToolBar = Widget = object

__all__ = ["AbstractButton", "Object", "TableView", "ToolBar", "Widget"]
