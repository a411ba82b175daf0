//! Shared memory over gRPC: regions are registered, shown and forgotten.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::proto::inference as proto;
use crate::proto::inference::system_shared_memory_status_response::RegionStatus;
use crate::shared_memory::Regions;

pub(super) fn status(
    regions: &Regions,
    request: &proto::SystemSharedMemoryStatusRequest,
) -> Result<proto::SystemSharedMemoryStatusResponse> {
    let row = |region: &crate::shared_memory::Region| RegionStatus {
        name: region.name.clone(),
        key: region.key.clone(),
        offset: region.offset,
        byte_size: region.byte_size,
    };
    let regions = regions.status(&request.name)?;
    Ok(proto::SystemSharedMemoryStatusResponse {
        regions: regions.iter().map(|region| (region.name.clone(), row(region))).collect(),
    })
}

pub(super) fn register(
    regions: &Regions,
    request: &proto::SystemSharedMemoryRegisterRequest,
) -> Result<proto::SystemSharedMemoryRegisterResponse> {
    regions.register(&request.name, &request.key, request.offset, request.byte_size)?;
    Ok(proto::SystemSharedMemoryRegisterResponse {})
}

pub(super) fn unregister(
    regions: &Regions,
    request: &proto::SystemSharedMemoryUnregisterRequest,
) -> Result<proto::SystemSharedMemoryUnregisterResponse> {
    regions.unregister(&request.name)?;
    Ok(proto::SystemSharedMemoryUnregisterResponse {})
}

pub(super) fn cuda_status(
    regions: &Regions,
    request: &proto::CudaSharedMemoryStatusRequest,
) -> Result<proto::CudaSharedMemoryStatusResponse> {
    regions.cuda_status(&request.name)?;
    Ok(proto::CudaSharedMemoryStatusResponse { regions: BTreeMap::new() })
}

pub(super) fn register_cuda(
    regions: &Regions,
    request: &proto::CudaSharedMemoryRegisterRequest,
) -> Result<proto::CudaSharedMemoryRegisterResponse> {
    regions.check_offered()?;
    Err(regions.refuse_cuda(&request.name))
}

pub(super) fn unregister_cuda(regions: &Regions) -> Result<proto::CudaSharedMemoryUnregisterResponse> {
    regions.unregister_cuda()?;
    Ok(proto::CudaSharedMemoryUnregisterResponse {})
}
