"""The files that the walkthrough makes, by acquisition."""

META = "2025/02/21/meta.txt"
FIRST = "2025/02/21/23/1324.dat"
OTHERS = ("2025/02/21/23/1330.dat", "2025/02/21/23/1342.dat", "2025/02/21/23/1349.dat")
DATA = (FIRST, *OTHERS)
ACQ_1 = (META, *DATA)

META_2 = "2025/02/26/meta.txt"
DATA_2 = "2025/02/26/01/0529.dat"
DATA_3 = "2025/02/26/02/0011.dat"
ALL = (*ACQ_1, META_2, DATA_2, DATA_3)
