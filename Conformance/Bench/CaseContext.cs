// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace PasidFramework.Conformance.Bench;

/// <summary>What a case gets: the driver, a back end, a source of randomness, and the ways to end.</summary>
[SuppressMessage("Performance", "CA1822", Justification = "The ways of a case to end are asked of its context.")]
internal sealed class CaseContext : IDisposable
{
    private readonly List<TestBench> _rigs = [];
    private readonly List<string> _notes = [];
    private readonly IHardwareBackEnd? _backEnd;
    private long _checks;

    public CaseContext(DriverUnderTest subject, string caseId, IHardwareBackEnd? backEnd, ulong seed)
    {
        Subject = subject;
        _backEnd = backEnd;
        Seed = seed;

        // Each case draws its own numbers, so that one that is run alone draws the same ones.
        uint mixed = 2166136261;
        foreach (char c in caseId)
        {
            mixed = (mixed ^ c) * 16777619;
        }

        Random = new Random(unchecked((int)(mixed ^ (uint)seed ^ (uint)(seed >> 32))));
    }

    public DriverUnderTest Subject { get; }

    public IHardwareBackEnd BackEnd =>
        _backEnd ?? throw new InvalidOperationException("The case does not need hardware.");

    public ulong Seed { get; }

    /// <summary>Seeded: the same numbers each time.</summary>
    public Random Random { get; }

    public long Checks => Interlocked.Read(ref _checks);

    /// <summary>What was done so far, for the details of a failure.</summary>
    public IReadOnlyList<string> Notes => _notes;

    public void CheckPerformed() => Interlocked.Increment(ref _checks);

    public void Note(string what)
    {
        lock (_notes)
        {
            // The end of a long run says most.
            if (_notes.Count == 40)
            {
                _notes.RemoveAt(0);
            }

            _notes.Add(what);
        }
    }

    public void ClearNotes() => _notes.Clear();

    [DoesNotReturn]
    public void Fail(string reason, IReadOnlyList<string>? details = null) =>
        throw new CaseEnd(Verdict.Fail, reason, details);

    [DoesNotReturn]
    public void NotApplicable(string reason) => throw new CaseEnd(Verdict.NotApplicable, reason);

    [DoesNotReturn]
    public void Inconclusive(string reason) => throw new CaseEnd(Verdict.Inconclusive, reason);

    /// <summary>One check: the case fails where it is wrong.</summary>
    public void Check(
        [DoesNotReturnIf(false)] bool holds, [InterpolatedStringHandlerArgument(nameof(holds))] FailureText otherwise)
    {
        CheckPerformed();
        if (!holds)
        {
            Fail(otherwise.ToStringAndClear());
        }
    }

    public void Needs(ITestHardware hardware, TestHardwareTraits traits, string what)
    {
        if ((hardware.Traits & traits) != traits)
        {
            NotApplicable($"{BackEnd.Name} {what}");
        }
    }

    /// <summary>Starts a system on the back end; it ends with the case.</summary>
    /// <param name="machine">A machine to use, which the system disposes; null to start one.</param>
    public TestBench Start(TestBenchSetup? setup = null, ITestHardware? machine = null)
    {
        var bench = new TestBench(this, setup ?? new TestBenchSetup(), machine);
        _rigs.Add(bench);
        bench.StartUnit();
        return bench;
    }

    /// <summary>Settings of a unit: those of the run, and over them what the case or its machine needs.</summary>
    public IReadOnlyDictionary<string, string> UnitOptions(params IReadOnlyDictionary<string, string>[] more)
    {
        Dictionary<string, string> options = new(Subject.UnitOptions);
        foreach ((string key, string value) in more.SelectMany(m => m))
        {
            options[key] = value;
        }

        return options;
    }

    /// <summary>Starts only a machine, which the caller disposes.</summary>
    public ITestHardware StartMachine(HardwareSetup? setup = null)
    {
        OpResult<ITestHardware> started = BackEnd.Start(setup ?? new HardwareSetup());
        if (!started.IsOk)
        {
            NotApplicable(started.Reason!);
        }

        return started.Value;
    }

    /// <summary>Ends the systems and judges their end.</summary>
    public void Finish()
    {
        foreach (TestBench bench in _rigs)
        {
            bench.Finish();
        }
    }

    public void Dispose()
    {
        foreach (TestBench bench in _rigs)
        {
            bench.Dispose();
        }
    }
}
