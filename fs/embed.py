"""Write a file as a C array, so that the program carries it: embed.py FILE OUTPUT.c SYMBOL"""
import sys

source, output, symbol = sys.argv[1:]
with open(source, "rb") as f:
    data = f.read()
with open(output, "w", encoding="ascii") as f:
    f.write("#include <stddef.h>\n")
    f.write(f"extern const unsigned char {symbol}[];\nextern const size_t {symbol}_len;\n")
    f.write(f"const unsigned char {symbol}[] = {{")
    for i, byte in enumerate(data + b"\0"):
        f.write(("\n\t" if i % 20 == 0 else " ") + f"{byte},")
    f.write(f"\n}};\nconst size_t {symbol}_len = {len(data)};\n")
