"""Column types of the Data Index: enums and the time of "now".

`EnumField` is public: extensions use it for tables of their own (spec: data-index.md §4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import peewee as pw

if TYPE_CHECKING:
    _Field = pw.Field[Any]
    _CharField = pw.CharField[str]
else:
    _Field = pw.Field  # not generic at run time
    _CharField = pw.CharField


class EnumField(_Field):
    """A column that holds one of a few strings.

    `native` (class attribute) says whether the database has an ENUM type. Where it has none, the
    column is a string as long as the longest value. Values are checked here on every database:
    MySQL without strict mode would store a wrong one as the empty string (W-25).
    """

    native = True
    string_type = "string"
    """SQL type where there is no ENUM; PostgreSQL knows no ``string`` (W-26)."""

    def __init__(self, enum_list: Sequence[str], *args: Any, **kwargs: Any) -> None:
        self.enum_list = [str(value) for value in enum_list]
        self.maxlen = max(len(value) for value in self.enum_list)
        super().__init__(*args, **kwargs)

    @property
    def field_type(self) -> str:  # type: ignore[override]
        """The SQL type without its arguments."""
        return "enum" if self.native else self.string_type

    def get_modifiers(self) -> list[Any]:
        """The arguments of the SQL type."""
        if self.native:
            return [f"'{value}'" for value in self.enum_list]
        return [self.maxlen]

    def ddl(self, ctx: Any) -> Any:
        """The definition of the column; PostgreSQL tests the values that other programs write."""
        column = super().ddl(ctx)
        if self.native or self.string_type != "VARCHAR":
            return column
        values = ", ".join(f"'{value}'" for value in self.enum_list)
        return pw.NodeList((column, pw.SQL(f'CHECK ("{self.column_name}" IN ({values}))')))

    def db_value(self, value: Any) -> Any:
        """Turn a value into what is stored.

        Raises:
            ValueError: the value is not in the list.
        """
        if value is None:
            return None
        text = str(value)
        if text not in self.enum_list:
            raise ValueError(f'invalid value "{value}" for EnumField')
        return text


class NameField(_CharField):
    """A name that is compared byte by byte on every database (W-29).

    MySQL takes ``A`` and ``a`` for one name unless the column says otherwise.
    """

    exact: str | None = None
    """Collation for columns that are made now; set by `connect` for the whole process."""

    @property
    def collation(self) -> str | None:
        """The collation of the column."""
        return self.exact

    @collation.setter
    def collation(self, value: str | None) -> None:
        """Ignore what peewee sets."""
