"""Trains the weights of `supported`: `python -m benchmarks.lies.training` writes `model.json`."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
import numpy as np
from scipy.optimize import minimize

from benchmarks.lies.items import Item, list_labelled, list_mutants, list_written
from pytest_llmops.metrics.faithfulness.sentences import drop_opener, split_sentences
from pytest_llmops.metrics.support.claims import is_claim, split
from pytest_llmops.metrics.support.features import FEATURES, HELPS, Texts, describe
from pytest_llmops.metrics.support.language import known_languages
from pytest_llmops.metrics.support.reading import read_sentence
from pytest_llmops.metrics.words import fold


def rows_of(items, language):
    out = []
    for start in range(0, len(items), 200):
        block = items[start:start+200]
        prepared = []
        for item in block:
            claims = [s for s in split(item.text, language) if is_claim(s, language)]
            sources = list(dict.fromkeys(s for p in item.sources for s in split(p, language)))
            whole = fold(" ".join(item.sources))
            claims = [c for c in claims if fold(c).rstrip('.') not in whole] 
            prepared.append(([read_sentence(drop_opener(c) or c, language) for c in claims], [read_sentence(s, language) for s in sources], read_sentence(item.question, language)))
        texts = Texts([r for c, s, q in prepared for r in (*c, *s, q)], language)
        for item, (c, s, q) in zip(block, prepared):
            out.append([ [m.row for m in describe(x, s, q, texts)] for x in c])
    return out


def fit(data, weights, rounds=6, ridge=0.02):
    """data: list of (claims rows, label). """
    names = FEATURES
    w = np.array([ (1.0 if n in HELPS else -1.0) for n in names]); b = 0.0
    mean = sd = None
    for _ in range(rounds):
        X=[];y=[];W=[]
        for (claims,label),wt in zip(data,weights):
            best=None
            for rows in claims:
                if not rows: continue
                R=np.array(rows)
                z=((R-(mean if mean is not None else 0))/(sd if sd is not None else 1))@w
                r=R[int(z.argmax())]; zz=z.max()
                if best is None or zz<best[0]: best=(zz,r)
            if best is None: continue
            X.append(best[1]);y.append(label);W.append(wt)
        X=np.array(X);y=np.array(y,float);W=np.array(W);W/=W.sum()
        if mean is None:
            mean=W@X; sd=np.sqrt(W@(X-mean)**2)+1e-3
        Z=(X-mean)/sd
        def loss(p):
            l=Z@p[:-1]+p[-1]
            v=W@(np.logaddexp(0,l)-y*l)+ridge*(p[:-1]**2).sum()
            e=W*(1/(1+np.exp(-l))-y)
            return v,np.concatenate([Z.T@e+2*ridge*p[:-1],[e.sum()]])
        bounds=[((0,None) if n in HELPS else (None,0)) for n in names]+[(None,None)]
        res=minimize(loss,np.zeros(len(names)+1),jac=True,method='L-BFGS-B',bounds=bounds)
        w=res.x[:-1]; b=res.x[-1]
    return mean,sd,w,b


def logit(claims, model):
    mean,sd,w,b=model
    vals=[max(float(((np.array(r)-mean)/sd)@w+b) for r in rows) for rows in claims if rows]
    return min(vals) if vals else 9.0
