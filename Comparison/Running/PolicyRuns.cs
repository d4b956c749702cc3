// SPDX-License-Identifier: Apache-2.0
using System.Runtime.ExceptionServices;
using PasidFramework.Comparison.Spooling;

namespace PasidFramework.Comparison.Running;

/// <summary>
/// The runs of a comparison on several threads: each policy is on one of them from its begin to its end and shares
/// nothing with the others but what is only read. Results, events and errors come in the order of the policies.
/// </summary>
internal sealed class PolicyRuns : IDisposable
{
    private readonly ComparisonRequest _request;
    private readonly Workload _workload;
    private readonly Stream? _events;
    private readonly Action<ComparisonProgress>? _progress;
    private readonly CancellationToken _cancellation;
    private readonly CancellationTokenSource _stop;
    private readonly PolicyRun[] _runs;
    private readonly int _workers;
    private readonly object _gate = new();
    private readonly Lock _setUp = new();
    private int _next;
    private int _alive;

    public PolicyRuns(
        ComparisonRequest request,
        Workload workload,
        Stream? events,
        Action<ComparisonProgress>? progress,
        CancellationToken cancellation)
    {
        _request = request;
        _workload = workload;
        _events = events;
        _progress = progress;
        _cancellation = cancellation;
        _stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        _runs = [.. request.Policies.Select(p => new PolicyRun(p, _stop.Token))];
        _workers = Math.Clamp(request.Workers, 1, _runs.Length);
    }

    /// <summary>Runs all policies.</summary>
    /// <returns>Their results; or what the first in order that failed was refused for.</returns>
    public InputResult<IReadOnlyList<RunResult>> RunAll()
    {
        if (_workers == 1)
        {
            for (int i = 0; i < _runs.Length && !_runs[..i].Any(r => r.HasFailed); i++)
            {
                RunOne(i);
            }
        }
        else
        {
            RunOnThreads();
        }

        foreach (PolicyRun run in _runs)
        {
            run.Thrown?.Throw();
            if (run.Error is { } error)
            {
                return InputResult<IReadOnlyList<RunResult>>.Refuse(error);
            }
        }

        return InputResult<IReadOnlyList<RunResult>>.Ok([.. _runs.Select(r => r.Result!)]);
    }

    public void Dispose()
    {
        foreach (PolicyRun run in _runs)
        {
            run.Dispose();
        }

        _stop.Dispose();
    }

    private void RunOnThreads()
    {
        _alive = _workers;
        var threads = new Thread[_workers];
        for (int i = 0; i < threads.Length; i++)
        {
            threads[i] = new Thread(Work) { IsBackground = true, Name = Text($"policies {i}") };
            threads[i].Start();
        }

        try
        {
            Attend();
        }
        finally
        {
            // A progress that throws ends the runs, too.
            _stop.Cancel();
            foreach (Thread thread in threads)
            {
                thread.Join();
            }
        }
    }

    private void Work()
    {
        while (true)
        {
            int index = Interlocked.Increment(ref _next) - 1;
            if (index >= _runs.Length || _runs[..index].Any(r => r.HasFailed))
            {
                break;
            }

            RunOne(index);
        }

        lock (_gate)
        {
            _alive--;
            Monitor.Pulse(_gate);
        }
    }

    // The caller's thread: shows how far the runs are, and writes the events of each after those of the one before.
    private void Attend()
    {
        int written = 0;
        double shown = 0;
        bool isOver = false;
        while (!isOver)
        {
            lock (_gate)
            {
                while (_alive > 0 && !CanWrite(written) && Done() <= shown)
                {
                    Monitor.Wait(_gate);
                }

                isOver = _alive == 0;
            }

            while (CanWrite(written))
            {
                _runs[written++].WriteEvents(_events);
            }

            shown = Done();
            Show(shown);
        }
    }

    private bool CanWrite(int index) => index < _runs.Length && _runs[index].IsDone && !_runs[index].HasFailed;

    private double Done() => _progress is null
        ? 0
        : _runs.Sum(r => (double)r.Steps) / Math.Max(1, _workload.Steps) / _runs.Length;

    private void Show(double done) =>
        _progress?.Invoke(new ComparisonProgress(_runs.FirstOrDefault(r => !r.IsDone, _runs[^1]).Policy.Name, done));

    private void RunOne(int index)
    {
        PolicyRun run = _runs[index];
        try
        {
            run.Error = Replay(run, index);
        }
        catch (Exception e)
        {
            run.Thrown = ExceptionDispatchInfo.Capture(e);
        }

        if (run.HasFailed)
        {
            // Those before it go on: one of them may fail as well, and then that is the answer.
            foreach (PolicyRun later in _runs[(index + 1)..])
            {
                later.Cancel();
            }
        }

        lock (_gate)
        {
            run.IsDone = true;
            Monitor.Pulse(_gate);
        }
    }

    private InputError? Replay(PolicyRun run, int index)
    {
        PasidOptions options = run.Policy.Derive(_request.Options, _request.Seed);
        using EventWriter? writer = _events is null
            ? null
            : new EventWriter(index == 0 || _workers == 1 ? _events : run.SpoolEvents());
        using var sink = new Sink(writer);
        using var replay = new PolicyReplay(
            _request.Scenario,
            _workload,
            Microsoft.Extensions.Options.Options.Create(options),
            _request.Allocators,
            sink);
        sink.Begin(run.Policy, replay.Drivers);

        // A driver says nothing of several threads in its factory.
        lock (_setUp)
        {
            if (replay.SetUp(_request.Drivers) is { } error)
            {
                return error;
            }
        }

        replay.Run(_progress is null ? null : steps => Report(run, steps), run.Token);
        replay.TearDown();
        writer?.Flush();
        run.Result = sink.Metrics.Result();
        return null;
    }

    private void Report(PolicyRun run, long steps)
    {
        run.Steps = steps;
        if (_workers == 1)
        {
            Show(Done());
            return;
        }

        lock (_gate)
        {
            Monitor.Pulse(_gate);
        }
    }

    private sealed class PolicyRun(Policy policy, CancellationToken stop) : IDisposable
    {
        private readonly CancellationTokenSource _cancel = CancellationTokenSource.CreateLinkedTokenSource(stop);
        private Spool? _spool;
        private long _steps;
        private volatile bool _isDone;
        public Policy Policy { get; } = policy;
        public CancellationToken Token => _cancel.Token;
        public RunResult? Result { get; set; }
        public InputError? Error { get; set; }
        public ExceptionDispatchInfo? Thrown { get; set; }
        public bool HasFailed => Error is not null || Thrown is not null;

        public bool IsDone
        {
            get => _isDone;
            set => _isDone = value;
        }

        public long Steps
        {
            get => Volatile.Read(ref _steps);
            set => Volatile.Write(ref _steps, value);
        }

        public void Cancel() => _cancel.Cancel();

        // The file of events has one policy after the other.
        public SpoolStream SpoolEvents() => new(_spool = new Spool());

        public void WriteEvents(Stream? destination)
        {
            _spool?.CopyTo(destination!);
            _spool?.Dispose();
            _spool = null;
        }

        public void Dispose()
        {
            _spool?.Dispose();
            _cancel.Dispose();
        }
    }

    private sealed class Sink(EventWriter? writer) : IReplaySink, IDisposable
    {
        public RunMetrics Metrics { get; private set; } = new(string.Empty, []);

        public void Begin(Policy policy, IReadOnlyList<string> drivers)
        {
            Metrics = new RunMetrics(policy.Name, drivers);
            writer?.Begin(policy, drivers);
        }

        public void Add(ReplayEvent happened)
        {
            Metrics.Add(happened);
            writer?.Add(happened);
        }

        public void Ended(SimulatedAddressSpace process)
        {
            Metrics.End(process.Number);
            writer?.Ended(process);
        }

        public void Dispose() => Metrics.Dispose();
    }
}
