// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Allocation;

/// <summary>A hypervisor that gives its smallest free PASID, or a scripted answer first.</summary>
internal sealed class FakeHost : IPasidHost
{
    private readonly PasidRange _range;
    private readonly bool[] _taken;
    private readonly Queue<PasidHostResponse> _nextAllocations = new();
    private readonly Queue<PasidHostResponse> _nextFrees = new();
    private uint _lowest;
    private int _inside;

    public FakeHost(PasidRange range)
    {
        _range = range;
        _taken = new bool[range.Count];
    }

    public List<string> Calls { get; } = new(capacity: 64);
    public bool Records { get; init; }
    public int TakenCount => _taken.Count(t => t);
    public void AnswerAllocate(int status, uint pasid = 0) => _nextAllocations.Enqueue(new(status, pasid));
    public void AnswerFree(int status) => _nextFrees.Enqueue(new(status));

    public PasidHostResponse Allocate()
    {
        Enter();
        PasidHostResponse response = _nextAllocations.Count > 0 ? _nextAllocations.Dequeue() : TakeLowest();
        Record("allocate");
        Leave();
        return response;
    }

    public PasidHostResponse Free(Pasid pasid)
    {
        Enter();
        PasidHostResponse response = new(PasidHostStatus.Ok);
        if (_nextFrees.Count > 0)
        {
            response = _nextFrees.Dequeue();
        }
        else if (_range.Contains(pasid.Value))
        {
            uint index = pasid.Value - _range.First;
            response = new(_taken[index] ? PasidHostStatus.Ok : PasidHostStatus.NoPasidAvailable);
            _taken[index] = false;
            _lowest = Math.Min(_lowest, index);
        }

        if (Records)
        {
            Record($"free {pasid.Value}");
        }

        Leave();
        return response;
    }

    private PasidHostResponse TakeLowest()
    {
        while (_lowest < _taken.Length && _taken[_lowest])
        {
            _lowest++;
        }

        if (_lowest == _taken.Length)
        {
            return new(PasidHostStatus.NoPasidAvailable);
        }

        _taken[_lowest] = true;
        return new(PasidHostStatus.Ok, _range.First + _lowest);
    }

    private void Record(string call)
    {
        if (Records)
        {
            Calls.Add(call);
        }
    }

    // One pair of registers: a second command before the first is answered would be lost.
    private void Enter() => Assert.True(Interlocked.Exchange(ref _inside, 1) == 0, "The host was asked twice at once.");

    private void Leave() => Volatile.Write(ref _inside, 0);
}
