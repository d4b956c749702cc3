// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Allocation;

/// <summary>
/// Allocates the PASIDs of one PASID space: the one seam between "the core owns PASIDs" and "the vendor's driver owns
/// them". It only produces PASIDs; who holds which is the space's business.
/// </summary>
/// <remarks>
/// <para>Implementations are safe for concurrent use, allocate no memory per call and never block.</para>
/// <para>Invariants (<c>semantics</c> A1-A12): a result lies in the asked range, both ends included (A1); it is not
/// live (A2) and not reserved (A3); a full range answers NoSpace and changes nothing (A5); freeing what is not live is
/// reported and changes nothing (A6); the same calls give the same PASIDs (A10).</para>
/// </remarks>
public interface IPasidAllocator
{
    /// <summary>The policy's name, such as <c>cyclic</c>.</summary>
    string Name { get; }

    /// <summary>The PASIDs it may allocate.</summary>
    PasidRange Range { get; }

    /// <summary>How many PASIDs are allocated and not freed.</summary>
    int LiveCount { get; }

    /// <summary>Takes a PASID.</summary>
    /// <param name="request">Range and owner.</param>
    /// <returns>The PASID, or why there is none.</returns>
    PasidAllocation Allocate(in PasidRequest request);

    /// <summary>Gives a PASID back.</summary>
    /// <param name="pasid">A live PASID.</param>
    /// <returns>Whether it was live.</returns>
    PasidFreeStatus Free(Pasid pasid);

    /// <summary>Excludes a PASID from ever being allocated.</summary>
    /// <returns>False if it is live now: then it is not reserved.</returns>
    bool TryReserve(Pasid pasid);

    /// <summary>Whether a PASID is live (allocated and not freed).</summary>
    bool IsLive(Pasid pasid);
}
