"""The types of a configuration's values."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from renorm.study.cell import NAME

Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$", max_length=80)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, lt=2**31, strict=True)]


class Typed(BaseModel):
    """Unknown keys are errors, values are not changed after validation, and a number is never read from text."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Strict(BaseModel):
    """Unknown keys are errors, values are not changed after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value_as_number(cls, value: Any, info) -> Any:
        number = cls.model_fields[info.field_name].annotation in (int, float)
        values = value if isinstance(value, list) else [value] if number else []
        if any(isinstance(one, bool) for one in values):
            raise ValueError("expected a number or a name, found a truth value")
        return value
