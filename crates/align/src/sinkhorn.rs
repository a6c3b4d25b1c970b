//! Sinkhorn's iterations of one utterance in the log domain, and the way back through them.

/// The potentials after every iteration; everything else is made of them and the costs when it is needed.
pub(crate) struct Sinkhorn {
    /// C, `[T, U]`.
    cost: Vec<f64>,
    frames: usize,
    labels: usize,
    epsilon: f64,
    /// φ of iterations 1..=n, `[n, T]`.
    by_frame: Vec<f64>,
    /// ψ of iterations 0..=n, `[n+1, U]`, the first of them zero.
    by_label: Vec<f64>,
}

impl Sinkhorn {
    /// Runs the iterations. `labels` and `iterations` are at least 1, and `cost` is not empty.
    pub(crate) fn new(cost: Vec<f64>, labels: usize, epsilon: f64, iterations: usize) -> Self {
        let frames = cost.len() / labels;
        let mut by_frame = Vec::with_capacity(iterations * frames);
        let mut by_label = vec![0.0; labels];
        by_label.reserve_exact(iterations * labels);
        let (log_frames, log_labels) = ((frames as f64).ln(), (labels as f64).ln());
        let mut shares = vec![0.0; labels];
        for n in 0..iterations {
            let former = n * labels;
            // Σ_t R_tu, with R_tu = T e^{φ_t + ψ_u − C_tu/ε} the share of label u in its frame's sum.
            let mut taken = vec![0.0; labels];
            for row in cost.chunks_exact(labels) {
                // φ_t = −ln T − ln Σ_u e^{ψ_u − C_tu/ε}
                let terms = row
                    .iter()
                    .zip(&by_label[former..])
                    .map(|(c, psi)| psi - c / epsilon);
                shares
                    .iter_mut()
                    .zip(terms)
                    .for_each(|(share, term)| *share = term);
                by_frame.push(-log_frames - to_shares(&mut shares));
                taken
                    .iter_mut()
                    .zip(&shares)
                    .for_each(|(taken, share)| *taken += share);
            }
            // ψ_u = −ln U − ln Σ_t e^{φ_t − C_tu/ε}, and that sum is e^{−ψ'_u} Σ_t R_tu / T with the ψ' before.
            for (u, taken) in taken.into_iter().enumerate() {
                let log_sum = if taken > 1e-280 {
                    f64::ln(taken) - log_frames - by_label[former + u]
                } else {
                    // Shares have underflown, so the sum is made of logarithms.
                    let column = cost.iter().skip(u).step_by(labels);
                    let phi = &by_frame[n * frames..];
                    to_shares(
                        &mut column
                            .zip(phi)
                            .map(|(c, phi)| phi - c / epsilon)
                            .collect::<Vec<_>>(),
                    )
                };
                by_label.push(-log_labels - log_sum);
            }
        }
        Self {
            cost,
            frames,
            labels,
            epsilon,
            by_frame,
            by_label,
        }
    }

    fn iterations(&self) -> usize {
        self.by_frame.len() / self.frames
    }

    /// φ after iteration `n`, counted from 1.
    fn phi(&self, n: usize) -> &[f64] {
        &self.by_frame[(n - 1) * self.frames..][..self.frames]
    }

    /// ψ after iteration `n`, counted from 1; 0 is the start.
    fn psi(&self, n: usize) -> &[f64] {
        &self.by_label[n * self.labels..][..self.labels]
    }

    /// P, `[T, U]`.
    pub(crate) fn plan(&self) -> Vec<f64> {
        let (phi, psi) = (self.phi(self.iterations()), self.psi(self.iterations()));
        let mut plan = Vec::with_capacity(self.cost.len());
        for (row, phi) in self.cost.chunks_exact(self.labels).zip(phi) {
            let cells = row.iter().zip(psi);
            plan.extend(cells.map(|(c, psi)| (phi + psi - c / self.epsilon).exp()));
        }
        plan
    }

    /// U Σ P C.
    pub(crate) fn loss(&self) -> f64 {
        let total: f64 = self.plan().iter().zip(&self.cost).map(|(p, c)| p * c).sum();
        self.labels as f64 * total
    }

    /// The gradient of [`Self::loss`] with respect to C, `[T, U]`.
    ///
    /// With K = −C/ε and bars for the slopes of the loss, what P owes its potentials comes first,
    ///
    /// ```text
    /// K̄_tu = U P_tu C_tu        φ̄_t = Σ_u K̄_tu        ψ̄_u = Σ_t K̄_tu
    /// ```
    ///
    /// then every iteration from the last to the first hands its slopes on, by the shares of the terms in its sums:
    ///
    /// ```text
    /// S_tu = U e^{φ_t + K_tu + ψ_u}         φ̄_t  −= Σ_u ψ̄_u S_tu      K̄_tu −= ψ̄_u S_tu      ψ as it came out
    /// R_tu = T e^{φ_t + K_tu + ψ'_u}        ψ̄'_u  = −Σ_t φ̄_t R_tu     K̄_tu −= φ̄_t R_tu      ψ' as it went in
    /// ```
    ///
    /// and C̄ = U P − K̄/ε.
    pub(crate) fn gradient(&self) -> Vec<f64> {
        let (frames, labels) = (self.frames as f64, self.labels as f64);
        let plan = self.plan();
        let mut of_kernel: Vec<f64> = plan.iter().zip(&self.cost).map(|(p, c)| labels * p * c).collect();
        let rows = of_kernel.chunks_exact(self.labels);
        // Only the last iteration's φ is read by the plan.
        let mut of_phi: Vec<f64> = rows.clone().map(|row| row.iter().sum()).collect();
        let mut of_psi = vec![0.0; self.labels];
        let mut shares = vec![0.0; self.labels];
        for row in rows {
            of_psi.iter_mut().zip(row).for_each(|(psi, slope)| *psi += slope);
        }
        for n in (1..=self.iterations()).rev() {
            let came_out = self.psi(n);
            // Σ_t R_tu / S_tu, which is at most T: what a label's shares added up to before it got its due.
            let went_in: Vec<f64> = self
                .psi(n - 1)
                .iter()
                .zip(came_out)
                .map(|(i, o)| (i - o).exp() * frames / labels)
                .collect();
            let mut of_former = vec![0.0; self.labels];
            let rows = of_kernel
                .chunks_exact_mut(self.labels)
                .zip(self.cost.chunks_exact(self.labels));
            for (((slopes, costs), phi), of_phi) in rows.zip(self.phi(n)).zip(&of_phi) {
                let cells = shares.iter_mut().zip(costs).zip(came_out);
                for ((share, c), psi) in cells {
                    *share = labels * (phi + psi - c / self.epsilon).exp();
                }
                let owed: f64 = shares
                    .iter()
                    .zip(&of_psi)
                    .map(|(share, of_psi)| share * of_psi)
                    .sum();
                let of_phi = of_phi - owed;
                let labels = slopes
                    .iter_mut()
                    .zip(&shares)
                    .zip(&of_psi)
                    .zip(&went_in)
                    .zip(&mut of_former);
                for ((((slope, share), of_psi), went_in), of_former) in labels {
                    let flow = of_phi * share * went_in;
                    *slope -= of_psi * share + flow;
                    *of_former -= flow;
                }
            }
            // The iteration before has a φ of its own, which nothing else reads.
            of_phi.fill(0.0);
            of_psi = of_former;
        }
        let cells = plan.iter().zip(&of_kernel);
        cells
            .map(|(p, slope)| labels * p - slope / self.epsilon)
            .collect()
    }
}

/// `ln Σ e^term`, and in place of the terms their shares in the sum.
fn to_shares(terms: &mut [f64]) -> f64 {
    let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for term in terms.iter_mut() {
        *term = (*term - top).exp();
        sum += *term;
    }
    let scale = 1.0 / sum;
    terms.iter_mut().for_each(|term| *term *= scale);
    top + sum.ln()
}
