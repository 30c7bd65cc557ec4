// Draws the charts of a report from the data in the page, in the colours of its style.
"use strict";

(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const wanted = new URLSearchParams(location.search).get("theme");
  if (wanted) root.dataset.theme = wanted;

  const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();

  // A colour of the page with an opacity.
  const faded = (name, opacity) => {
    const hex = colour(name).slice(1, 7);
    const part = (start) => parseInt(hex.slice(start, start + 2), 16);
    return `rgba(${part(0)}, ${part(2)}, ${part(4)}, ${opacity})`;
  };

  const axis = (title, more = {}) => ({
    title: { text: title, standoff: 8 }, gridcolor: colour("line"), zeroline: false,
    linecolor: colour("line"), automargin: true, ...more,
  });

  const power = { exponentformat: "power", dtick: 1, showexponent: "all" };

  // Ticks of a logarithmic axis: the powers of ten, or also 2 and 5 where there are few of those.
  const logarithmic = (values) => {
    const known = values.filter((value) => value > 0);
    const decades = Math.log10(Math.max(...known) / Math.min(...known));
    return { type: "log", ...power, dtick: decades < 2.5 ? "D2" : 1 };
  };

  const base = (layout) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("soft") },
    margin: { l: 60, r: 16, t: 14, b: 46 },
    hoverlabel: {
      bgcolor: colour("surface"), bordercolor: colour("line"), font: { color: colour("ink") },
    },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: colour("ink") } },
    ...layout,
  });

  // Logarithms cannot show zero.
  const positive = (values) => values.map((value) => (value > 0 ? value : null));

  const shown = (value) => {
    if (value === 0) return "0";
    const size = Math.abs(value);
    return size >= 1e5 || size < 1e-3 ? value.toExponential(2) : value.toPrecision(4);
  };

  // Shows every k-th label of each axis, with the least k for which none covers or touches the next:
  // how wide labels are is known only when they are drawn.
  const thinned = (place) => {
    const axes = new Map();
    for (const label of place.querySelectorAll(".xaxislayer-above text, .yaxislayer-above text")) {
      label.style.display = "";
      const layer = label.closest(".xaxislayer-above, .yaxislayer-above");
      const key = label.closest("[class*=tick]").getAttribute("class");
      if (!axes.has(layer)) axes.set(layer, new Map());
      const labels = axes.get(layer);
      labels.set(key, [...(labels.get(key) || []), label]);
    }
    const gap = 3;
    const covers = (a, b) => a.left < b.right + gap && b.left < a.right + gap
      && a.top < b.bottom && b.top < a.bottom;
    for (const labels of axes.values()) {
      for (const all of labels.values()) {
        const boxes = all.map((label) => label.getBoundingClientRect());
        const places = boxes.map((_, index) => index)
          .sort((i, j) => boxes[i].left - boxes[j].left || boxes[i].top - boxes[j].top);
        const fits = (step) => {
          const kept = places.filter((_, index) => index % step === 0);
          return kept.every((i, index) => index === 0 || !covers(boxes[kept[index - 1]], boxes[i]));
        };
        let step = 1;
        while (step < all.length && !fits(step)) step += 1;
        places.forEach((i, index) => { if (index % step) all[i].style.display = "none"; });
      }
    }
  };

  const charts = {};

  // A telephone: labels leave little room beside them, so panels stand one below the other.
  const isNarrow = (place) => place.clientWidth < 560;

  // Bars of several quantities over the same names, each quantity a panel of its own.
  const panels = (place, names, quantities, rowHeight) => {
    const narrow = isNarrow(place);
    const count = quantities.length;
    const height = count * (names.length * rowHeight + 64);
    const traces = [], layout = { bargap: 0.3 };
    quantities.forEach(({ title, values, colourName, hover, axisMore }, index) => {
      const suffix = index === 0 ? "" : index + 1;
      const own = narrow ? suffix : "";
      traces.push({
        type: "bar", orientation: "h", y: names, x: values, xaxis: `x${suffix}`, yaxis: `y${own}`,
        marker: { color: colour(colourName) }, showlegend: false,
        hovertemplate: `%{y}<br>${hover}<extra></extra>`,
      });
      const gap = narrow ? 64 / height : 0.04;
      const share = (1 - (count - 1) * gap) / count;
      const from = (narrow ? count - 1 - index : index) * (share + gap);
      const domain = [from, Math.min(1, from + share)];
      layout[`xaxis${suffix}`] = axis(title, {
        rangemode: "tozero", nticks: 4, tickangle: 0, anchor: `y${own}`,
        ...(narrow ? {} : { domain }), ...axisMore,
      });
      layout[`yaxis${own}`] = axis("", {
        showgrid: false, type: "category", tickfont: { size: 11 }, anchor: `x${own}`,
        ...(narrow ? { domain } : {}),
      });
    });
    return { traces, layout, height: narrow ? height : undefined };
  };

  // The part of a layer without what all of them begin with.
  const shortened = (part) => part.replace(/^layers\.\*\./, "");

  charts.nodes = (place) => {
    const nodes = data.nodes;
    const indices = nodes.map((_, index) => index);
    const trace = (key, name, colourName) => ({
      type: "scatter", mode: "lines+markers", name, x: indices,
      y: positive(nodes.map((node) => node[key])), customdata: nodes.map((node) => node.name),
      line: { color: faded(colourName, 0.45), width: 1.5 },
      marker: { color: colour(colourName), size: 5 },
      hovertemplate: "%{customdata}<br>%{y:.3g}<extra>" + name + "</extra>",
    });
    const traces = [
      trace("approximated", "replacements, float", "approximated"),
      trace("ring", "fixed point", "ring"),
    ];
    for (const [key, colourName] of [["approximated", "approximated"], ["ring", "ring"]]) {
      const growth = data.firstGrowth[key];
      const index = growth ? nodes.findIndex((node) => node.name === growth.node) : -1;
      if (index < 0 || !(nodes[index][key] > 0)) continue;
      traces.push({
        type: "scatter", mode: "markers", x: [index], y: [nodes[index][key]], showlegend: false,
        hoverinfo: "skip",
        marker: { symbol: "circle-open", size: 15, color: colour(colourName), line: { width: 2 } },
      });
    }
    // Layers are bands; what stands outside them is named by itself.
    const bands = [], ticks = [], labels = [];
    let start = 0;
    const key = (node) => (node.name.match(/^layers\.(\d+)\./) || [null, node.name])[1];
    for (let index = 1; index <= nodes.length; index += 1) {
      if (index < nodes.length && key(nodes[index]) === key(nodes[start])) continue;
      const name = key(nodes[start]);
      const isLayer = /^\d+$/.test(name);
      if (isLayer && Number(name) % 2 === 0) {
        bands.push({
          type: "rect", xref: "x", yref: "paper", x0: start - 0.5, x1: index - 0.5, y0: 0, y1: 1,
          fillcolor: colour("band"), line: { width: 0 }, layer: "below",
        });
      }
      if (isLayer) {
        ticks.push((start + index - 1) / 2);
        labels.push(isNarrow(place) ? name : `layer ${name}`);
      }
      start = index;
    }
    return {
      traces,
      layout: {
        shapes: bands, hovermode: "closest",
        xaxis: axis(isNarrow(place) ? "layers" : "nodes in the order of evaluation", {
          tickvals: ticks, ticktext: labels, showgrid: false, range: [-1, nodes.length],
        }),
        yaxis: axis("relative error", { type: "log", ...power }),
      },
    };
  };

  const replacement = (index) => {
    const entry = data.replacements[index];
    const { x, exact, replaced } = entry.curve;
    const counts = entry.histogram.counts;
    const total = counts.reduce((sum, count) => sum + count, 0) || 1;
    const centre = (i) => (
      entry.isLogarithmic ? Math.sqrt(x[i] * x[i + 1]) : (x[i] + x[i + 1]) / 2);
    const hover = "x = %{x:.4g}<br>%{y:.5g}";
    const traces = [
      {
        type: "bar", name: "inputs", x: counts.map((_, i) => centre(i)),
        y: counts.map((count) => count / total), width: counts.map((_, i) => x[i + 1] - x[i]),
        marker: { color: colour("density"), line: { width: 0 } }, yaxis: "y2",
        hovertemplate: "x = %{x:.4g}<br>%{y:.3%} of inputs<extra></extra>",
      },
      ...(entry.calibratedShares === null ? [] : [{
        type: "scatter", mode: "lines", name: "calibrated", yaxis: "y2", line: {
          color: colour("soft"), width: 1, shape: "hvh",
        },
        x: counts.map((_, i) => centre(i)), y: entry.calibratedShares,
        hovertemplate: "x = %{x:.4g}<br>%{y:.3%} of calibrated inputs<extra></extra>",
      }]),
      {
        type: "scatter", mode: "lines", name: "function", x, y: exact,
        line: { color: colour("original"), width: 4 }, hovertemplate: hover,
      },
      {
        type: "scatter", mode: "lines", name: "replacement", x, y: replaced,
        line: { color: colour("approximated"), width: 1.75 }, hovertemplate: hover,
      },
      {
        type: "scatter", mode: "lines", name: "replacement − function", showlegend: false, x,
        y: replaced.map((value, i) => (
          value === null || exact[i] === null ? null : value - exact[i])),
        line: { color: colour("approximated"), width: 1.5 }, yaxis: "y3", hovertemplate: hover,
      },
    ];
    const isSteep = entry.isLogarithmic && exact.every((value) => value > 0);
    const [low, high] = entry.validRange;
    const place = (value) => (entry.isLogarithmic ? Math.log10(value) : value);
    const ends = [x[0], x[x.length - 1]];
    const shapes = [];
    for (const [from, to] of [[ends[0], low], [high, ends[1]]]) {
      const [a, b] = [Math.max(from, ends[0]), Math.min(to, ends[1])];
      if (a < b) {
        shapes.push({
          type: "rect", xref: "x", yref: "paper", x0: a, x1: b, y0: 0, y1: 1, layer: "below",
          fillcolor: faded("bad", 0.08), line: { width: 0 },
        });
      }
    }
    const kind = entry.isLogarithmic ? logarithmic(x) : {};
    return {
      traces,
      layout: {
        shapes, hovermode: "closest", bargap: 0,
        xaxis: axis("input", { ...kind, range: ends.map(place), anchor: "y3" }),
        yaxis: axis("output", {
          domain: [0.36, 1], overlaying: "y2",
          ...(isSteep ? logarithmic(exact) : { tickmode: "auto", nticks: 6 }),
        }),
        // Below the curves, which overlay it.
        yaxis2: {
          domain: [0.36, 1], side: "right", showgrid: false, showticklabels: false,
          zeroline: false, rangemode: "tozero",
        },
        yaxis3: axis("difference", {
          domain: [0, 0.26], exponentformat: "power", nticks: 4, zeroline: true,
          zerolinecolor: colour("line"),
        }),
        margin: { l: 60, r: 12, t: 8, b: 44 },
      },
    };
  };

  charts.scatter = () => {
    const { original, approximated, ring } = data.points;
    const all = original.concat(ring).filter((value) => value !== null);
    const ends = [Math.min(...all), Math.max(...all)];
    const trace = (name, y, colourName) => ({
      type: "scatter", mode: "markers", name, x: original, y,
      marker: { color: faded(colourName, 0.5), size: 5 },
      hovertemplate: "original %{x:.4f}<br>%{y:.4f}<extra>" + name + "</extra>",
    });
    return {
      traces: [
        {
          type: "scatter", mode: "lines", x: ends, y: ends, showlegend: false, hoverinfo: "skip",
          line: { color: colour("original"), width: 1 },
        },
        trace("replacements, float", approximated, "approximated"),
        trace("fixed point", ring, "ring"),
      ],
      layout: {
        hovermode: "closest", xaxis: axis("original output"), yaxis: axis("converted output"),
      },
    };
  };

  charts.differences = () => {
    const { original, approximated, ring } = data.points;
    const differences = (values) => values.map((value, i) => (
      value === null || original[i] === null ? null : value - original[i]));
    const all = differences(approximated).concat(differences(ring))
      .filter((value) => value !== null);
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const trace = (name, values, colourName) => ({
      type: "histogram", name, x: differences(values),
      xbins: { start: low, end: high, size: (high - low) / 80 || 1 },
      marker: { color: faded(colourName, 0.55), line: { width: 0 } },
      hovertemplate: "%{x}<br>%{y} outputs<extra>" + name + "</extra>",
    });
    return {
      traces: [
        trace("replacements, float", approximated, "approximated"),
        trace("fixed point", ring, "ring"),
      ],
      layout: {
        barmode: "overlay", bargap: 0,
        xaxis: axis("converted output − original output", { exponentformat: "power" }),
        yaxis: axis("outputs", { type: "log", ...power }),
      },
    };
  };

  charts.headroom = (place) => {
    const narrow = isNarrow(place);
    const { parts, limitBits } = data.headroom;
    const rows = parts.slice().reverse();
    const bits = rows[0].counts.map((_, bit) => bit);
    const share = (part) => {
      const total = part.counts.reduce((sum, count) => sum + count, 0);
      return part.counts.map((count) => (count > 0 ? Math.log10(count / total) : null));
    };
    return {
      traces: [{
        type: "heatmap", x: bits, y: rows.map((part) => shortened(part.part)),
        z: rows.map(share), showscale: !narrow,
        customdata: rows.map((part) => part.counts), xgap: narrow ? 0 : 1, ygap: 1,
        colorscale: [[0, faded("ring", 0.12)], [1, faded("ring", 1)]], zmin: -6, zmax: 0,
        colorbar: {
          title: { text: "share", side: "right" }, thickness: 10, len: 0.5, y: 1, yanchor: "top",
          tickvals: [-6, -4, -2, 0], ticktext: ["10<sup>−6</sup>", "10<sup>−4</sup>", "1 %", "all"],
          outlinewidth: 0,
        },
        hovertemplate: "%{y}<br>%{x} bits: %{customdata} values<extra></extra>",
      }],
      layout: {
        xaxis: axis("bits of the magnitude", {
          range: [-0.5, 64.5], dtick: narrow ? 16 : 8, tickangle: 0, showgrid: false,
        }),
        yaxis: axis("", { type: "category", showgrid: false, tickfont: { size: 11 } }),
        shapes: [{
          type: "line", xref: "x", yref: "paper", x0: limitBits + 0.5, x1: limitBits + 0.5, y0: 0,
          y1: 1, line: { color: colour("bad"), width: 2 },
        }],
      },
    };
  };

  const bytes = { tickformat: "~s", ticksuffix: "B", nticks: 3 };

  charts.cost = (place, which) => {
    const parts = data.cost.parts.filter((part) => part[which].rounds > 0)
      .sort((a, b) => a[which].networkSeconds - b[which].networkSeconds);
    const values = (key) => parts.map((part) => part[which][key]);
    return panels(place, parts.map((part) => shortened(part.part)), [
      { title: "flights", values: values("rounds"), colourName: "ring", hover: "%{x} flights" },
      {
        title: "sent by each party", values: values("bytesPerParty"), colourName: "ring",
        hover: "%{x:.3s}B", axisMore: bytes,
      },
      {
        title: "network time", values: values("networkSeconds"), colourName: "approximated",
        hover: "%{x:.3s}s", axisMore: { tickformat: "~s", ticksuffix: "s" },
      },
    ], 20);
  };

  const isDecoder = data.kind !== "encoder";
  const stepOf = (model) => model[isDecoder ? "token" : "prompt"];

  charts.tradeoff = (place, network) => {
    const loss = (model) => {
      const ring = model.stages.find((stage) => stage.stage === "ring");
      const value = isDecoder ? ring.meanDivergence : 1 - ring.meanCosine;
      return ring.meanError === null ? null : value;
    };
    const losses = positive(data.models.map(loss));
    const times = data.models.map((model) => stepOf(model).networkSeconds[network]);
    const spread = Math.max(...times) / Math.min(...times);
    // Recipes that come to the same share a point and its label.
    const labels = new Map();
    data.models.forEach((model, index) => {
      if (losses[index] === null) return;
      const key = `${times[index].toPrecision(2)} ${Math.log10(losses[index]).toFixed(1)}`;
      labels.set(key, [...(labels.get(key) || []), index]);
    });
    const label = data.models.map(() => "");
    for (const indices of labels.values()) {
      label[indices[0]] = indices.map((index) => data.models[index].title).join(", ");
    }
    return {
      traces: [{
        type: "scatter", mode: "markers+text", x: times, y: losses,
        text: label, customdata: data.models.map((model) => model.title),
        textposition: "top center",
        textfont: { color: colour("ink"), size: 12 }, cliponaxis: false,
        marker: { color: colour("ring"), size: 11 },
        hovertemplate: "%{customdata}<br>%{x:.4s}s<br>%{y:.3g}<extra></extra>",
      }],
      layout: {
        hovermode: "closest", margin: { l: 64, r: 40, t: 24, b: 46 },
        xaxis: axis("network time of a " + (isDecoder ? "token" : "text"), {
          tickformat: "~s", ticksuffix: "s", nticks: 6,
          range: [Math.min(...times) - 0.25 * (Math.max(...times) - Math.min(...times) || 1),
            Math.max(...times) + 0.25 * (Math.max(...times) - Math.min(...times) || 1)],
          ...(spread > 5 ? { type: "log", range: undefined, dtick: "D2" } : {}),
        }),
        yaxis: axis(isDecoder ? "mean KL divergence, nats" : "1 − mean cosine", {
          type: "log", ...power,
        }),
      },
    };
  };

  charts.recipes = (place) => {
    const models = data.models.slice().reverse();
    const steps = models.map(stepOf);
    return panels(place, models.map((model) => model.title), [
      {
        title: "flights", values: steps.map((step) => step.rounds), colourName: "ring",
        hover: "%{x} flights",
      },
      {
        title: "sent by each", values: steps.map((step) => step.bytesPerParty),
        colourName: "ring", hover: "%{x:.4s}B", axisMore: bytes,
      },
      {
        title: "correlations", values: models.map((model) => model.correlationBytesPerToken),
        colourName: "approximated", hover: "%{x:.4s}B", axisMore: bytes,
      },
    ], 28);
  };

  charts.gateDensity = (place) => {
    const layers = data.layers;
    const bar = (name, key, colourName) => ({
      type: "bar", orientation: "h", name, y: layers.map((layer) => `layer ${layer.layer}`),
      x: layers.map((layer) => layer[key]), marker: { color: colour(colourName) },
      hovertemplate: "%{y}<br>%{x:.2%}<extra>" + name + "</extra>",
    });
    return {
      traces: [
        bar("neurons that fire", "density", "original"),
        bar("blocks in which one fires", "activeShare", "approximated"),
        bar("open gates", "openShare", "ring"),
      ],
      layout: {
        barmode: "group", bargap: 0.25,
        xaxis: axis("share", { tickformat: ".0%", rangemode: "tozero", nticks: isNarrow(place) ? 5 : 10 }),
        yaxis: axis("", { type: "category", autorange: "reversed", showgrid: false }),
        margin: { l: 70, r: 16, t: isNarrow(place) ? 60 : 24, b: 46 },
      },
    };
  };

  charts.gateCurve = (place, choice) => {
    const layer = data.layers[Number(choice)];
    const { openShare, recall, massKept } = layer.curve;
    const line = (name, y, colourName, chosen) => [{
      type: "scatter", mode: "lines", name, x: openShare, y,
      line: { color: colour(colourName), width: 2 },
      hovertemplate: "%{x:.2%} open<br>%{y:.2%}<extra>" + name + "</extra>",
    }, {
      type: "scatter", mode: "markers", x: [layer.openShare], y: [chosen], showlegend: false,
      marker: { symbol: "circle-open", size: 14, color: colour(colourName), line: { width: 2 } },
      hovertemplate: "chosen: %{x:.2%} open<br>%{y:.2%}<extra>" + name + "</extra>",
    }];
    return {
      traces: [
        ...line("recall", recall, "ring", layer.recall),
        ...line("mass kept", massKept, "approximated", layer.massKept),
      ],
      layout: {
        hovermode: "closest",
        xaxis: axis("open gates", { tickformat: ".0%", range: [0, 1], nticks: isNarrow(place) ? 5 : 10 }),
        yaxis: axis("kept", { tickformat: ".0%", range: [0, 1.03] }),
      },
    };
  };

  charts.gatePicture = (place, choice) => {
    const { picture } = data.layers[Number(choice)];
    const cells = ".iom";
    const colours = [colour("band"), colour("density"), colour("ring"), colour("bad")];
    const names = ["shut, nothing fires", "computed for nothing", "computed, some fire", "missed"];
    const blocks = picture.length ? picture[0].length : 0;
    const z = Array.from({ length: blocks }, (_, block) => (
      picture.map((row) => cells.indexOf(row[block]))));
    // A step of colour for each kind of cell.
    const scale = colours.flatMap((value, kind) => [[kind / 4, value], [(kind + 1) / 4, value]]);
    const key = names.map((name, kind) => ({
      type: "scatter", mode: "markers", name, x: [null], y: [null],
      marker: { color: colours[kind], symbol: "square", size: 10 },
    }));
    return {
      traces: [{
        type: "heatmap", z, zmin: -0.5, zmax: 3.5, colorscale: scale, showscale: false, xgap: 0, ygap: 0,
        text: z.map((row) => row.map((kind) => names[kind])),
        hovertemplate: "position %{x}, block %{y}<br>%{text}<extra></extra>",
      }, ...key],
      layout: {
        xaxis: axis("position", { showgrid: false, nticks: isNarrow(place) ? 5 : 10 }),
        yaxis: axis("block", { showgrid: false }),
        margin: { l: 60, r: 16, t: isNarrow(place) ? 70 : 24, b: 46 },
      },
    };
  };

  const draw = (place) => {
    const name = place.dataset.chart;
    const select = document.querySelector(`select[data-chart-choice="${name}"]`);
    const choice = select ? select.value : undefined;
    const { traces, layout, height } = name.startsWith("function-")
      ? replacement(Number(choice)) : charts[name](place, choice);
    place.dataset.height ||= place.style.height;
    place.style.height = height === undefined ? place.dataset.height : `${height}px`;
    place.dataset.narrow = isNarrow(place);
    return Plotly.react(place, traces, base(layout), {
      responsive: true, displaylogo: false, displayModeBar: false,
    }).then(() => {
      // Whatever draws labels anew, such as another width, shows them all.
      if (!place.dataset.isThinned) place.on("plotly_afterplot", () => thinned(place));
      place.dataset.isThinned = true;
      thinned(place);
    });
  };

  const places = Array.from(document.querySelectorAll("[data-chart]"));
  for (const select of document.querySelectorAll("select[data-chart-choice]")) {
    const place = document.querySelector(`[data-chart="${select.dataset.chartChoice}"]`);
    select.addEventListener("change", () => draw(place));
  }
  const drawAll = () => Promise.all(places.map(draw));
  // Plotly follows the width; a layout that depends on it has to be made again.
  addEventListener("resize", () => {
    places.filter((place) => place.dataset.narrow !== String(isNarrow(place))).forEach(draw);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  // What a test looks for: how many charts there are, once they are drawn.
  drawAll().then(() => { root.dataset.charts = places.length; });
})();
