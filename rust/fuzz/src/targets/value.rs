//! Packed values with their measures, gauges and sketches: `docs/stored-values.md`.

use queue_metrics_core::stats::sketch::{BUCKET_LIMIT, COARSE, FINE};
use queue_metrics_core::value::{Field, Parts, Value, add_fields, measure, merge_values};

use super::Target;

pub const TARGET: Target = Target { name: "value", longest: 6_000, bytes: 1 << 19, bytes_each: 128, run, seeds };

const MEASURES: usize = 64;

fn run(input: &[u8]) {
    let (first, second) = halves(input);
    let [one, other] = [first, second].map(Value::decode);
    for value in [&one, &other].into_iter().flatten() {
        check(value);
    }
    let merged = merge_values(first, second);
    if let (Ok(one), Ok(other)) = (&one, &other) {
        let merged = merged.ok();
        assert_eq!(merged, merge_values(second, first).ok());
        assert_eq!(merged, one.merge(other).ok().map(|value| value.encode()));
        let total = add_fields(&one.total().encode(), second).ok().map(|total| Value::decode(&total).unwrap());
        assert_eq!(total, one.total().merge(&other.total()).ok());
    } else {
        assert!(merged.is_err());
    }
}

/// The first byte says where an input is cut in two, so that two values meet; 255: nowhere.
fn halves(input: &[u8]) -> (&[u8], &[u8]) {
    match input {
        [] => (&[], &[]),
        [255, rest @ ..] => (rest, &[]),
        [at, rest @ ..] => rest.split_at(usize::from(*at).min(rest.len())),
    }
}

fn check(value: &Value) {
    let bytes = value.encode();
    assert_eq!(Value::decode(&bytes).unwrap(), *value);
    assert_eq!(value.merge(&Value::default()).unwrap().encode(), bytes);
    let fields = value.fields();
    for (field, _) in &fields {
        assert_eq!(Field::parse(&field.name()), Some(*field));
    }
    assert_eq!(Value::from_fields(fields).unwrap(), value.total());
    for index in 0..MEASURES {
        let Some(sketch) = value.sketch(index) else { continue };
        assert!(sketch.buckets().len() <= BUCKET_LIMIT);
        let coarse = sketch.at_scale(COARSE);
        assert_eq!(coarse.count(), sketch.count());
        let quantiles: Vec<f64> = [0.0, 0.5, 0.99, 1.0].iter().filter_map(|q| sketch.quantile(*q)).collect();
        assert_eq!(quantiles.len(), if sketch.count() == 0 { 0 } else { 4 });
        assert!(quantiles.iter().all(|value| value.is_finite()) && quantiles.is_sorted());
        assert!(sketch.deviation().is_none_or(|deviation| deviation >= 0.0));
        let _ = value.quantiles(index, &[0.5, 0.95]);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let full = Parts {
        counters: vec![5, 3, 0, 0, 0, 0, 0, 9],
        measures: vec![(measure::RUNTIME, vec![0, 1, 5, 900, 1 << 40]), (measure::MEMORY_CHANGE, vec![-5, 4])],
        gauges: vec![(1, vec![(7, 12), (9, 3)])],
        scale: FINE,
    };
    let coarse = Parts { measures: vec![(measure::RUNTIME, vec![3, 3, 70_000])], scale: COARSE, ..Parts::default() };
    let values: Vec<Vec<u8>> =
        [full, coarse, Parts::default()].iter().map(|parts| parts.value().unwrap().encode()).collect();
    let mut seeds: Vec<Vec<u8>> = values.iter().map(|bytes| [vec![255], bytes.clone()].concat()).collect();
    seeds.extend(values.iter().map(|bytes| [vec![bytes.len() as u8], bytes.clone(), values[0].clone()].concat()));
    seeds.push([vec![values[0].len() as u8], values[0].clone(), values[0].clone()].concat());
    seeds
}
