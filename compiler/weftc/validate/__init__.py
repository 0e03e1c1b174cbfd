"""Checks between the stages of a compile, by level (WEFT_VERIFY).

0  `Validator`: nothing.
1  `FormValidator`: graphs after every pass, the steps of fusion, loop functions after every stage
   are well formed; the places of the memory plan do not overlap; instructions name what there is,
   and the program runs for just the sizes that its graph allows.
2  `ValueValidator` (weftc.validate.values): also what they compute, by bits, NaN payloads aside.

As in translation validation (Pnueli, Siegel and Singerman, 1998), what is checked is each run of a
stage, not the stage. `Miscompiled` names the stage, the kernel, and the user's line.
"""

from weftc.validate.form import FormValidator, Miscompiled, Validator

__all__ = ["FormValidator", "Miscompiled", "Validator"]
